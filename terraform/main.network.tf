resource "azurerm_virtual_network" "this" {
  count = local.makes_network ? 1 : 0

  name                = "vnet-${var.name}"
  location            = var.location
  resource_group_name = var.resource_group_name
  address_space       = [var.virtual_network_address_space]
  tags                = var.tags
}

resource "azurerm_subnet" "apps" {
  count = local.makes_network ? 1 : 0

  name                 = "snet-${var.name}-apps"
  resource_group_name  = var.resource_group_name
  virtual_network_name = azurerm_virtual_network.this[0].name
  address_prefixes     = [local.apps_subnet_range]

  delegation {
    name = "container-apps"

    service_delegation {
      name    = "Microsoft.App/environments"
      actions = ["Microsoft.Network/virtualNetworks/subnets/join/action"]
    }
  }
}

resource "azurerm_subnet" "endpoints" {
  count = local.makes_network ? 1 : 0

  name                              = "snet-${var.name}-endpoints"
  resource_group_name               = var.resource_group_name
  virtual_network_name              = azurerm_virtual_network.this[0].name
  address_prefixes                  = [cidrsubnet(var.virtual_network_address_space, 3, 4)]
  default_outbound_access_enabled   = false
  private_endpoint_network_policies = "Enabled"
}

# Key Vault, Postgres and Redis hear the service and nobody else.
resource "azurerm_network_security_group" "endpoints" {
  count = local.makes_network ? 1 : 0

  name                = "nsg-${var.name}-endpoints"
  location            = var.location
  resource_group_name = var.resource_group_name
  tags                = var.tags
}

resource "azurerm_network_security_rule" "from_apps" {
  count = local.makes_network ? 1 : 0

  name                        = "from-apps"
  resource_group_name         = var.resource_group_name
  network_security_group_name = azurerm_network_security_group.endpoints[0].name
  priority                    = 100
  direction                   = "Inbound"
  access                      = "Allow"
  protocol                    = "Tcp"
  source_address_prefix       = local.apps_subnet_range
  source_port_range           = "*"
  destination_address_prefix  = "*"
  destination_port_ranges     = ["443", "5432", "10000"]
}

resource "azurerm_network_security_rule" "from_nobody_else" {
  count = local.makes_network ? 1 : 0

  name                        = "from-nobody-else"
  resource_group_name         = var.resource_group_name
  network_security_group_name = azurerm_network_security_group.endpoints[0].name
  priority                    = 4096
  direction                   = "Inbound"
  access                      = "Deny"
  protocol                    = "*"
  source_address_prefix       = "*"
  source_port_range           = "*"
  destination_address_prefix  = "*"
  destination_port_range      = "*"
}

resource "azurerm_subnet_network_security_group_association" "endpoints" {
  count = local.makes_network ? 1 : 0

  subnet_id                 = azurerm_subnet.endpoints[0].id
  network_security_group_id = azurerm_network_security_group.endpoints[0].id
}

resource "azurerm_private_dns_zone" "this" {
  for_each = local.makes_network ? local.private_dns_zone_names : {}

  name                = each.value
  resource_group_name = var.resource_group_name
  tags                = var.tags
}

resource "azurerm_private_dns_zone_virtual_network_link" "this" {
  for_each = local.makes_network ? local.private_dns_zone_names : {}

  name                  = "link-${var.name}"
  resource_group_name   = var.resource_group_name
  private_dns_zone_name = azurerm_private_dns_zone.this[each.key].name
  virtual_network_id    = azurerm_virtual_network.this[0].id
  tags                  = var.tags
}

resource "azurerm_private_endpoint" "key_vault" {
  for_each = local.key_vault_ids

  name                = "pe-${var.name}-key-vault-${each.key}"
  location            = var.location
  resource_group_name = var.resource_group_name
  subnet_id           = local.endpoints_subnet_id
  tags                = var.tags

  private_service_connection {
    name                           = "key-vault"
    private_connection_resource_id = each.value
    subresource_names              = ["vault"]
    is_manual_connection           = false
  }

  private_dns_zone_group {
    name                 = "key-vault"
    private_dns_zone_ids = [local.private_dns_zone_ids.key_vault]
  }
}

resource "azurerm_private_endpoint" "database" {
  name                = "pe-${var.name}-database"
  location            = var.location
  resource_group_name = var.resource_group_name
  subnet_id           = local.endpoints_subnet_id
  tags                = var.tags

  private_service_connection {
    name                           = "database"
    private_connection_resource_id = azurerm_postgresql_flexible_server.this.id
    subresource_names              = ["postgresqlServer"]
    is_manual_connection           = false
  }

  private_dns_zone_group {
    name                 = "database"
    private_dns_zone_ids = [local.private_dns_zone_ids.postgres]
  }
}

resource "azurerm_private_endpoint" "redis" {
  count = local.makes_redis ? 1 : 0

  name                = "pe-${var.name}-redis"
  location            = var.location
  resource_group_name = var.resource_group_name
  subnet_id           = local.endpoints_subnet_id
  tags                = var.tags

  private_service_connection {
    name                           = "redis"
    private_connection_resource_id = azurerm_managed_redis.this[0].id
    subresource_names              = ["redisEnterprise"]
    is_manual_connection           = false
  }

  private_dns_zone_group {
    name                 = "redis"
    private_dns_zone_ids = [local.private_dns_zone_ids.redis]
  }
}
