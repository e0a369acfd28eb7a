# Two replicas in a network that a platform team keeps, with no address on the internet.

terraform {
  required_version = ">= 1.9, < 2.0"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.55"
    }
  }
}

provider "azurerm" {
  features {}
}

variable "image" {
  type        = string
  description = "Image of the service, by digest."
}

locals {
  zones = {
    key_vault = "privatelink.vaultcore.azure.net"
    postgres  = "privatelink.postgres.database.azure.com"
    redis     = "privatelink.redis.azure.net"
  }
}

resource "azurerm_resource_group" "network" {
  name     = "rg-network"
  location = "westeurope"
}

resource "azurerm_virtual_network" "this" {
  name                = "vnet-platform"
  location            = azurerm_resource_group.network.location
  resource_group_name = azurerm_resource_group.network.name
  address_space       = ["10.1.0.0/24"]
}

resource "azurerm_subnet" "apps" {
  name                 = "snet-vertex-apps"
  resource_group_name  = azurerm_resource_group.network.name
  virtual_network_name = azurerm_virtual_network.this.name
  address_prefixes     = ["10.1.0.0/26"]

  delegation {
    name = "container-apps"

    service_delegation {
      name    = "Microsoft.App/environments"
      actions = ["Microsoft.Network/virtualNetworks/subnets/join/action"]
    }
  }
}

resource "azurerm_subnet" "endpoints" {
  name                 = "snet-vertex-endpoints"
  resource_group_name  = azurerm_resource_group.network.name
  virtual_network_name = azurerm_virtual_network.this.name
  address_prefixes     = ["10.1.0.64/27"]
}

resource "azurerm_private_dns_zone" "this" {
  for_each = local.zones

  name                = each.value
  resource_group_name = azurerm_resource_group.network.name
}

resource "azurerm_private_dns_zone_virtual_network_link" "this" {
  for_each = local.zones

  name                  = "link-platform"
  resource_group_name   = azurerm_resource_group.network.name
  private_dns_zone_name = azurerm_private_dns_zone.this[each.key].name
  virtual_network_id    = azurerm_virtual_network.this.id
}

resource "azurerm_resource_group" "this" {
  name     = "rg-vertex"
  location = "westeurope"
}

module "vertex" {
  source = "../../"

  name                = "vertex-example"
  location            = azurerm_resource_group.this.location
  resource_group_name = azurerm_resource_group.this.name
  image               = var.image
  vault_name          = "production"
  replicas            = 2

  key_vault_name                = "kv-security-example"
  key_vault_resource_group_name = "rg-security"

  server_share_backup_encryption_secret_name       = "vertex-backup-secret"
  server_share_backup_encryption_secret_vault_name = "kv-security-example"
  server_share_backup_encryption_secret_rg_name    = "rg-security"

  internal_load_balancer_enabled = true
  existing_network = {
    apps_subnet_address_prefix = azurerm_subnet.apps.address_prefixes[0]
    apps_subnet_id             = azurerm_subnet.apps.id
    endpoints_subnet_id        = azurerm_subnet.endpoints.id
    private_dns_zone_ids       = { for zone, made in azurerm_private_dns_zone.this : zone => made.id }
  }

  alert_email_addresses = ["oncall@example.com"]

  depends_on = [azurerm_private_dns_zone_virtual_network_link.this]
}

# An internal load balancer has no public name: the network resolves it.
resource "azurerm_private_dns_zone" "service" {
  name                = module.vertex.environment_default_domain
  resource_group_name = azurerm_resource_group.network.name
}

resource "azurerm_private_dns_zone_virtual_network_link" "service" {
  name                  = "link-platform"
  resource_group_name   = azurerm_resource_group.network.name
  private_dns_zone_name = azurerm_private_dns_zone.service.name
  virtual_network_id    = azurerm_virtual_network.this.id
}

resource "azurerm_private_dns_a_record" "service" {
  name                = "*"
  zone_name           = azurerm_private_dns_zone.service.name
  resource_group_name = azurerm_resource_group.network.name
  ttl                 = 300
  records             = [module.vertex.environment_static_ip_address]
}

output "url" {
  description = "Where the service answers, in this network."
  value       = module.vertex.url
}
