resource "azurerm_key_vault" "this" {
  count = local.makes_key_vault ? 1 : 0

  name                = var.key_vault_name
  location            = var.location
  resource_group_name = var.resource_group_name
  tenant_id           = data.azurerm_client_config.current.tenant_id
  sku_name            = "standard"
  tags                = var.tags

  # A deleted key vault or secret can be had back for 90 days, and nobody can shorten that.
  purge_protection_enabled   = true
  soft_delete_retention_days = 90

  # Access policies cannot name a single secret; roles can.
  rbac_authorization_enabled = true

  public_network_access_enabled = length(var.key_vault_allowed_ip_ranges) > 0

  network_acls {
    bypass         = "None"
    default_action = "Deny"
    ip_rules       = var.key_vault_allowed_ip_ranges
  }
}

data "azurerm_key_vault" "this" {
  count = local.makes_key_vault ? 0 : 1

  name                = var.key_vault_name
  resource_group_name = var.key_vault_resource_group_name

  lifecycle {
    postcondition {
      condition     = self.rbac_authorization_enabled
      error_message = "The key vault ${var.key_vault_name} uses access policies, which cannot be limited to one secret. It must use role-based access control."
    }
    postcondition {
      condition     = self.purge_protection_enabled
      error_message = "The key vault ${var.key_vault_name} has no purge protection: the storage key in it, and with it the database, could be destroyed at once."
    }
  }
}

data "azurerm_key_vault" "backup" {
  count = local.separate_backup_vault ? 1 : 0

  name                = var.server_share_backup_encryption_secret_vault_name
  resource_group_name = var.server_share_backup_encryption_secret_rg_name

  lifecycle {
    postcondition {
      condition     = self.rbac_authorization_enabled
      error_message = "The key vault ${var.server_share_backup_encryption_secret_vault_name} uses access policies, which cannot be limited to one secret. It must use role-based access control."
    }
    postcondition {
      condition     = self.purge_protection_enabled
      error_message = "The key vault ${var.server_share_backup_encryption_secret_vault_name} has no purge protection: the backup secret in it, and with it every backup, could be destroyed at once."
    }
  }
}
