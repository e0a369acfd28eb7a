#!/usr/bin/env bash
# Formats, types and tests of the Terraform module and its examples, in a copy, so that nothing is left behind here.
# Nothing is created anywhere: the tests mock the provider. TERRAFORM names another program than terraform.
# Exit code 3: the provider cannot be had here, so only the format was checked.
set -euo pipefail
terraform=${TERRAFORM:-terraform}
module=$(cd "$(dirname "$0")/../terraform" && pwd)

"$terraform" fmt -check -diff -recursive "$module" || exit 1

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -R "$module/." "$copy"
for folder in "$copy" "$copy"/examples/*; do
  echo "terraform validate ${folder#"$copy"}/"
  "$terraform" -chdir="$folder" init -backend=false -input=false -no-color >"$copy/init.log" 2>&1 || {
    cat "$copy/init.log" >&2
    exit 3
  }
  "$terraform" -chdir="$folder" validate -no-color
done
"$terraform" -chdir="$copy" init -backend=false -input=false -no-color >"$copy/init.log" 2>&1
"$terraform" -chdir="$copy" test -no-color
