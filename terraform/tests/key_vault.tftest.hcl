# Key vaults: one that the module makes, or one that is there and is looked at.

mock_provider "azurerm" {
  source          = "./tests/azurerm"
  override_during = plan
}

run "a_new_one" {
  command = plan

  assert {
    condition     = azurerm_key_vault.this[0].purge_protection_enabled && azurerm_key_vault.this[0].soft_delete_retention_days == 90 && azurerm_key_vault.this[0].rbac_authorization_enabled
    error_message = "Purge protection, 90 days and roles are not negotiable."
  }
  assert {
    condition     = azurerm_key_vault.this[0].public_network_access_enabled == false && azurerm_key_vault.this[0].network_acls[0].default_action == "Deny"
    error_message = "It must be reached from its network only."
  }
  assert {
    condition     = toset(keys(azurerm_private_endpoint.key_vault)) == toset(["backup", "this"])
    error_message = "Both key vaults must be reached privately."
  }
}

run "a_new_one_that_somebody_reaches" {
  command = plan
  variables {
    key_vault_allowed_ip_ranges = ["203.0.113.7"]
  }
  assert {
    condition     = azurerm_key_vault.this[0].public_network_access_enabled && azurerm_key_vault.this[0].network_acls[0].ip_rules == toset(["203.0.113.7"]) && azurerm_key_vault.this[0].network_acls[0].default_action == "Deny"
    error_message = "Only this address may reach it."
  }
}

run "the_backup_secret_beside_the_others" {
  command = plan
  variables {
    server_share_backup_encryption_secret_vault_name = "KV-vertex"
    server_share_backup_encryption_secret_rg_name    = "RG-vertex"
  }
  assert {
    condition     = length(data.azurerm_key_vault.backup) == 0 && output.secret_ids.backup == "${azurerm_key_vault.this[0].id}/secrets/vertex-backup-secret"
    error_message = "It is the key vault that the module makes, whatever the case of its name."
  }
  assert {
    condition     = toset(keys(azurerm_private_endpoint.key_vault)) == toset(["this"])
    error_message = "One key vault, one endpoint."
  }
}

run "an_existing_one" {
  command = plan
  variables {
    key_vault_name                = "kv-security"
    key_vault_resource_group_name = "rg-security"
  }
  assert {
    condition     = length(azurerm_key_vault.this) == 0 && data.azurerm_key_vault.this[0].resource_group_name == "rg-security"
    error_message = "It must be looked up, not made."
  }
  assert {
    condition     = toset(keys(azurerm_management_lock.this)) == toset(["database"])
    error_message = "A key vault of others is not locked."
  }
}

run "one_without_roles_is_refused" {
  command = plan
  override_data {
    target = data.azurerm_key_vault.backup
    values = {
      id                         = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-security/providers/Microsoft.KeyVault/vaults/kv-security"
      rbac_authorization_enabled = false
      purge_protection_enabled   = true
    }
  }
  expect_failures = [data.azurerm_key_vault.backup]
}

run "one_that_can_be_purged_is_refused" {
  command = plan
  override_data {
    target = data.azurerm_key_vault.backup
    values = {
      id                         = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-security/providers/Microsoft.KeyVault/vaults/kv-security"
      rbac_authorization_enabled = true
      purge_protection_enabled   = false
    }
  }
  expect_failures = [data.azurerm_key_vault.backup]
}
