# The examples can be applied as they are.

mock_provider "azurerm" {
  source = "./tests/azurerm"
}

variables {
  image         = "example.azurecr.io/vertex@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  my_ip_address = "203.0.113.7"
}

run "default_before_the_secrets_are_set" {
  command = apply
  module {
    source = "./examples/default"
  }
  variables {
    service_enabled = false
  }
  assert {
    condition     = output.url == null && output.backup_mode == "encrypted"
    error_message = "There must be no service yet, but everything else."
  }
}

run "default" {
  command = apply
  module {
    source = "./examples/default"
  }
  assert {
    condition     = startswith(output.url, "https://") && output.backup_mode == "encrypted"
    error_message = "The service must be there, with encrypted backups."
  }
}

run "existing_key_vault" {
  command = apply
  module {
    source = "./examples/existing-key-vault"
  }
  assert {
    condition     = toset(keys(output.secret_ids)) == toset(["admin_token", "backup", "storage_key"])
    error_message = "The security team must be told of three secrets."
  }
}

run "private_network" {
  command = apply
  module {
    source = "./examples/private-network"
  }
  assert {
    condition     = startswith(output.url, "https://")
    error_message = "The service must be there."
  }
}
