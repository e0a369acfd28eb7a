# What the service is told, and that none of it is a secret.

mock_provider "azurerm" {
  source          = "./tests/azurerm"
  override_during = plan
}

run "names_and_addresses_only" {
  command = plan

  assert {
    condition = { for one in azurerm_container_app.this[0].template[0].container[0].env : one.name => one.value } == {
      AZURE_CLIENT_ID                  = "22222222-2222-2222-2222-222222222222"
      DATABASE_URL                     = "postgres://id-vertex@psql-vertex.postgres.database.azure.com:5432/vertex?sslmode=verify-full"
      HOST                             = "0.0.0.0"
      PORT                             = "8080"
      VERTEX_ADMIN_SECRET_NAME         = "vertex-admin-token"
      VERTEX_ADMIN_SECRET_VAULT_NAME   = "kv-vertex"
      VERTEX_BACKUP_MODE               = "encrypted"
      VERTEX_BACKUP_SECRET_NAME        = "vertex-backup-secret"
      VERTEX_BACKUP_SECRET_VAULT_NAME  = "kv-security"
      VERTEX_STORAGE_SECRET_NAME       = "vertex-storage-key"
      VERTEX_STORAGE_SECRET_VAULT_NAME = "kv-vertex"
      VERTEX_TLS                       = "terminated-by-proxy"
      VERTEX_TRUSTED_PROXIES           = "100.100.0.0/16,10.42.0.0/23"
      VERTEX_VAULT_NAME                = "production"
    }
    error_message = "The settings of the service must be these."
  }
  assert {
    condition     = length(azurerm_container_app.this[0].secret) == 0
    error_message = "The platform must keep no secret: the service reads them itself."
  }
}

run "tls_and_probes" {
  command = plan

  assert {
    condition     = azurerm_container_app.this[0].ingress[0].allow_insecure_connections == false && azurerm_container_app.this[0].ingress[0].target_port == 8080
    error_message = "Plain HTTP must not be let in."
  }
  assert {
    condition     = azurerm_container_app.this[0].template[0].container[0].liveness_probe[0].path == "/livez" && azurerm_container_app.this[0].template[0].container[0].readiness_probe[0].path == "/readyz"
    error_message = "The probes must ask for what they are for."
  }
  assert {
    condition     = azurerm_container_app.this[0].template[0].termination_grace_period_seconds > 25
    error_message = "The service must have time to finish: it stops by itself after 25 seconds."
  }
  assert {
    condition     = one(azurerm_container_app_environment.this.workload_profile).workload_profile_type == "D4" && azurerm_container_app_environment.this.zone_redundancy_enabled
    error_message = "The machines must be nobody else's, in several zones."
  }
}

run "further_settings" {
  command = plan
  variables {
    settings = { VERTEX_CORS_ORIGINS = "https://app.example.com" }
  }
  assert {
    condition     = contains([for one in azurerm_container_app.this[0].template[0].container[0].env : "${one.name}=${one.value}"], "VERTEX_CORS_ORIGINS=https://app.example.com")
    error_message = "A further setting must reach the service."
  }
}

run "the_admin_token_is_no_setting" {
  command = plan
  variables {
    settings = { VERTEX_ADMIN_TOKEN = "in the state for ever" }
  }
  expect_failures = [var.settings]
}

run "settings_of_the_module_stay" {
  command = plan
  variables {
    settings = { VERTEX_BACKUP_MODE = "plaintext" }
  }
  expect_failures = [azurerm_container_app.this]
}

run "an_image_needs_a_digest" {
  command = plan
  variables {
    image = "example.azurecr.io/vertex:latest"
  }
  expect_failures = [var.image]
}

run "some_may_call" {
  command = plan
  variables {
    allowed_ip_ranges = ["203.0.113.0/24", "2001:db8::/32"]
  }
  assert {
    condition     = toset([for one in azurerm_container_app.this[0].ingress[0].ip_security_restriction : "${one.action} ${one.ip_address_range} ${one.name}"]) == toset(["Allow 203.0.113.0/24 allow-203-0-113-0-24", "Allow 2001:db8::/32 allow-2001-db8---32"])
    error_message = "Only the ranges given may call."
  }
}
