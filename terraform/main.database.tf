resource "azurerm_postgresql_flexible_server" "this" {
  name                = "psql-${var.name}"
  location            = var.location
  resource_group_name = var.resource_group_name
  tags                = var.tags

  version           = var.database_version
  sku_name          = var.database_sku_name
  storage_mb        = 65536
  auto_grow_enabled = true

  backup_retention_days         = 35
  public_network_access_enabled = false

  # Every commit is on a disk in a second zone before it is acknowledged.
  high_availability {
    mode = "ZoneRedundant"
  }

  # There is no password, so none can be in the state, in a setting or in a log.
  authentication {
    active_directory_auth_enabled = true
    password_auth_enabled         = false
    tenant_id                     = data.azurerm_client_config.current.tenant_id
  }

  lifecycle {
    # Azure chooses the zones, and a failover swaps them.
    ignore_changes = [zone, high_availability[0].standby_availability_zone]
  }
}

resource "azurerm_postgresql_flexible_server_active_directory_administrator" "this" {
  server_name         = azurerm_postgresql_flexible_server.this.name
  resource_group_name = var.resource_group_name
  tenant_id           = data.azurerm_client_config.current.tenant_id
  object_id           = azurerm_user_assigned_identity.this.principal_id
  principal_name      = azurerm_user_assigned_identity.this.name
  principal_type      = "ServicePrincipal"
}

resource "azurerm_postgresql_flexible_server_database" "this" {
  name      = "vertex"
  server_id = azurerm_postgresql_flexible_server.this.id
  charset   = "UTF8"
  collation = "en_US.utf8"
}

resource "azurerm_postgresql_flexible_server_configuration" "this" {
  for_each = {
    require_secure_transport = "on"
    ssl_min_protocol_version = "TLSv1.3"
    # The service does not start without it: what was acknowledged must be on disk.
    synchronous_commit = "on"
  }

  name      = each.key
  server_id = azurerm_postgresql_flexible_server.this.id
  value     = each.value
}
