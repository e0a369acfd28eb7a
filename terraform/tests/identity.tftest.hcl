# The identity reads three secrets by name, each by a role on this one secret.

mock_provider "azurerm" {
  source          = "./tests/azurerm"
  override_during = plan
}

run "exactly_three_secrets" {
  command = plan

  assert {
    condition = { for name, role in azurerm_role_assignment.secret : name => role.scope } == {
      admin_token = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-vertex/providers/Microsoft.KeyVault/vaults/kv-vertex/secrets/vertex-admin-token"
      backup      = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-security/providers/Microsoft.KeyVault/vaults/kv-security/secrets/vertex-backup-secret"
      storage_key = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-vertex/providers/Microsoft.KeyVault/vaults/kv-vertex/secrets/vertex-storage-key"
    }
    error_message = "Each role must be scoped to one secret, and there must be no others."
  }
  assert {
    condition = alltrue([for role in azurerm_role_assignment.secret :
    role.role_definition_name == "Key Vault Secrets User" && role.principal_id == "33333333-3333-3333-3333-333333333333" && role.principal_type == "ServicePrincipal"])
    error_message = "The identity must get the role that reads a secret and its versions, and no other."
  }
  assert {
    condition     = length(azurerm_role_assignment.registry) == 0
    error_message = "Without a registry there is no role on one."
  }
  assert {
    condition     = azurerm_container_app.this[0].identity[0].type == "UserAssigned" && azurerm_container_app.this[0].identity[0].identity_ids == toset([azurerm_user_assigned_identity.this.id])
    error_message = "The container app must run as this identity alone."
  }
}

run "in_plaintext_mode_two" {
  command = plan
  variables {
    server_share_backup_encryption_secret_name       = null
    server_share_backup_encryption_secret_vault_name = null
    server_share_backup_encryption_secret_rg_name    = null
  }
  assert {
    condition     = toset(keys(azurerm_role_assignment.secret)) == toset(["admin_token", "storage_key"])
    error_message = "There is no backup secret to read."
  }
  expect_failures = [check.backups_are_encrypted]
}

run "before_the_secrets_are_set_none" {
  command = plan
  variables {
    service_enabled = false
  }
  assert {
    condition     = length(azurerm_role_assignment.secret) == 0 && length(azurerm_container_app.this) == 0
    error_message = "A role cannot be given on a secret that does not exist yet, and the service cannot start."
  }
  assert {
    condition     = output.url == null && output.resource_id == null && output.secret_ids.backup == "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-security/providers/Microsoft.KeyVault/vaults/kv-security/secrets/vertex-backup-secret"
    error_message = "The outputs must name the secrets to set, and no service."
  }
}

run "the_registry" {
  command = plan
  variables {
    container_registry = {
      login_server = "example.azurecr.io"
      resource_id  = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-images/providers/Microsoft.ContainerRegistry/registries/example"
    }
  }
  assert {
    condition     = azurerm_role_assignment.registry[0].role_definition_name == "AcrPull" && azurerm_role_assignment.registry[0].scope == "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-images/providers/Microsoft.ContainerRegistry/registries/example"
    error_message = "The identity must be able to pull from the registry."
  }
  assert {
    condition     = azurerm_container_app.this[0].registry[0].server == "example.azurecr.io" && azurerm_container_app.this[0].registry[0].identity == azurerm_user_assigned_identity.this.id
    error_message = "The image must be pulled as the identity, not with a password."
  }
}
