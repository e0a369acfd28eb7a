locals {
  encrypted = (
    var.server_share_backup_encryption_secret_name != null &&
    var.server_share_backup_encryption_secret_vault_name != null &&
    var.server_share_backup_encryption_secret_rg_name != null
  )
  backup_mode = local.encrypted ? "encrypted" : "plaintext"

  makes_key_vault = var.key_vault_resource_group_name == null
  key_vault_id    = local.makes_key_vault ? azurerm_key_vault.this[0].id : data.azurerm_key_vault.this[0].id

  # The backup secret may live in a key vault of its own, or beside the other two.
  separate_backup_vault = local.encrypted && lower(coalesce(var.server_share_backup_encryption_secret_vault_name, "-")) != lower(var.key_vault_name)
  backup_vault_id       = local.separate_backup_vault ? data.azurerm_key_vault.backup[0].id : local.key_vault_id

  key_vault_ids = merge(
    { this = local.key_vault_id },
    local.separate_backup_vault ? { backup = local.backup_vault_id } : {},
  )

  # All that the identity may read, one by one.
  secret_ids = merge(
    {
      admin_token = "${local.key_vault_id}/secrets/${var.admin_token_secret_name}"
      storage_key = "${local.key_vault_id}/secrets/${var.storage_key_secret_name}"
    },
    local.encrypted ? { backup = "${local.backup_vault_id}/secrets/${var.server_share_backup_encryption_secret_name}" } : {},
  )

  makes_network       = var.existing_network == null
  apps_subnet_id      = local.makes_network ? azurerm_subnet.apps[0].id : var.existing_network.apps_subnet_id
  apps_subnet_range   = local.makes_network ? cidrsubnet(var.virtual_network_address_space, 1, 0) : var.existing_network.apps_subnet_address_prefix
  endpoints_subnet_id = local.makes_network ? azurerm_subnet.endpoints[0].id : var.existing_network.endpoints_subnet_id

  private_dns_zone_names = merge(
    {
      key_vault = "privatelink.vaultcore.azure.net"
      postgres  = "privatelink.postgres.database.azure.com"
    },
    local.makes_redis ? { redis = "privatelink.redis.azure.net" } : {},
  )
  private_dns_zone_ids = local.makes_network ? { for zone, made in azurerm_private_dns_zone.this : zone => made.id } : var.existing_network.private_dns_zone_ids

  makes_redis = var.replicas > 1

  makes_workspace = var.log_analytics_workspace_id == null
  workspace_id    = local.makes_workspace ? azurerm_log_analytics_workspace.this[0].id : var.log_analytics_workspace_id

  consumption = var.workload_profile_type == "Consumption"
  profile     = local.consumption ? "Consumption" : "vertex"
}
