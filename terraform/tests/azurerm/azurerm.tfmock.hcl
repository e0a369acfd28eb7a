# What Azure would answer with, in the forms that the provider accepts.

mock_data "azurerm_client_config" {
  defaults = {
    tenant_id       = "11111111-1111-1111-1111-111111111111"
    subscription_id = "00000000-0000-0000-0000-000000000000"
  }
}

mock_data "azurerm_key_vault" {
  defaults = {
    id                         = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-security/providers/Microsoft.KeyVault/vaults/kv-security"
    rbac_authorization_enabled = true
    purge_protection_enabled   = true
  }
}

mock_resource "azurerm_resource_group" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-vertex"
  }
}

mock_resource "azurerm_key_vault" {
  defaults = {
    id        = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-vertex/providers/Microsoft.KeyVault/vaults/kv-vertex"
    vault_uri = "https://kv-vertex.vault.azure.net/"
  }
}

mock_resource "azurerm_user_assigned_identity" {
  defaults = {
    id           = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-vertex/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-vertex"
    client_id    = "22222222-2222-2222-2222-222222222222"
    principal_id = "33333333-3333-3333-3333-333333333333"
  }
}

mock_resource "azurerm_postgresql_flexible_server" {
  defaults = {
    id   = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-vertex/providers/Microsoft.DBforPostgreSQL/flexibleServers/psql-vertex"
    fqdn = "psql-vertex.postgres.database.azure.com"
  }
}

mock_resource "azurerm_managed_redis" {
  defaults = {
    id       = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-vertex/providers/Microsoft.Cache/redisEnterprise/redis-vertex"
    hostname = "redis-vertex.westeurope.redis.azure.net"
  }
}

mock_resource "azurerm_virtual_network" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-vertex/providers/Microsoft.Network/virtualNetworks/vnet-vertex"
  }
}

mock_resource "azurerm_subnet" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-vertex/providers/Microsoft.Network/virtualNetworks/vnet-vertex/subnets/snet-vertex"
  }
}

mock_resource "azurerm_network_security_group" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-vertex/providers/Microsoft.Network/networkSecurityGroups/nsg-vertex"
  }
}

mock_resource "azurerm_private_dns_zone" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-vertex/providers/Microsoft.Network/privateDnsZones/privatelink.vaultcore.azure.net"
  }
}

mock_resource "azurerm_container_app_environment" {
  defaults = {
    id                = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-vertex/providers/Microsoft.App/managedEnvironments/cae-vertex"
    default_domain    = "example.westeurope.azurecontainerapps.io"
    static_ip_address = "10.42.0.100"
  }
}

mock_resource "azurerm_container_app" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-vertex/providers/Microsoft.App/containerApps/ca-vertex"
  }
}

mock_resource "azurerm_log_analytics_workspace" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-vertex/providers/Microsoft.OperationalInsights/workspaces/log-vertex"
  }
}

mock_resource "azurerm_monitor_action_group" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-vertex/providers/Microsoft.Insights/actionGroups/ag-vertex"
  }
}
