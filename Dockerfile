# The image of the service: Node 24 and /app, nothing else; no shell, no package manager, nothing writable.
# linux/amd64. A digest is renewed with `docker pull` and the line that it prints; both images stay on one Debian.

FROM node:24.21.0-bookworm-slim@sha256:d6aa754f16b3197301076f047b5def2f02ea1dbbc2ca920407d46d7ec7f87b20 AS build
# One addon is compiled where its prebuilt binary cannot be fetched.
RUN apt-get update \
  && apt-get install -y --no-install-recommends g++ make python3 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN npm ci --no-audit --no-fund
RUN npx tsc -b src sdk
RUN node scripts/image-root.mjs /image

FROM gcr.io/distroless/nodejs24-debian12:nonroot@sha256:14d42e2511532589a7c7e01a753667a74fcc96266e137e8125006b87b0c32d0a
# Everything belongs to root, and the service runs as somebody else.
COPY --from=build --chown=0:0 /image/ /
WORKDIR /app
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080
EXPOSE 8080
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["/nodejs/bin/node", "/app/health.mjs"]
# No signal opens a debugger, from the first moment on, and no input reaches the prototype of an object.
ENTRYPOINT ["/nodejs/bin/node", "--disable-sigusr1", "--disable-proto=throw", "/app/dist/main.js"]
