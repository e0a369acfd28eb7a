# The whole of it: main.identity.tf says what the service may read, main.key_vault.tf where that is, main.database.tf
# and main.redis.tf what it keeps and shares, main.network.tf who reaches whom, main.monitoring.tf who is told.

data "azurerm_client_config" "current" {}

check "backups_are_encrypted" {
  assert {
    condition     = local.encrypted
    error_message = "PLAINTEXT BACKUPS: without the three server_share_backup_encryption_secret_… variables every exported share leaves the service unencrypted, for everyone who sees it to use, and recovery after a loss is by hand."
  }
}

# Locks keep other hands off; Terraform removes its own before it deletes.
resource "azurerm_management_lock" "this" {
  for_each = var.lock == null ? {} : merge(
    { database = azurerm_postgresql_flexible_server.this.id },
    local.makes_key_vault ? { key_vault = azurerm_key_vault.this[0].id } : {},
  )

  name       = "lock-${var.name}-${replace(each.key, "_", "-")}"
  scope      = each.value
  lock_level = var.lock.kind
  notes      = "What is lost with this cannot be made again."
}
