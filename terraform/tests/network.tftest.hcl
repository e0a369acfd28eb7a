# Who reaches whom.

mock_provider "azurerm" {
  source          = "./tests/azurerm"
  override_during = plan
}

run "a_network_of_its_own" {
  command = plan

  assert {
    condition     = azurerm_subnet.apps[0].address_prefixes == tolist(["10.42.0.0/23"]) && azurerm_subnet.endpoints[0].address_prefixes == tolist(["10.42.2.0/25"])
    error_message = "The two subnets must not overlap."
  }
  assert {
    condition     = azurerm_subnet.apps[0].delegation[0].service_delegation[0].name == "Microsoft.App/environments"
    error_message = "The subnet must be the container apps'."
  }
  assert {
    condition     = azurerm_network_security_rule.from_apps[0].source_address_prefix == "10.42.0.0/23" && azurerm_network_security_rule.from_nobody_else[0].access == "Deny"
    error_message = "Key Vault, Postgres and Redis must hear the service only."
  }
  assert {
    condition     = { for zone, made in azurerm_private_dns_zone.this : zone => made.name } == { key_vault = "privatelink.vaultcore.azure.net", postgres = "privatelink.postgres.database.azure.com" }
    error_message = "Their names must resolve to private addresses."
  }
}

run "a_small_network" {
  command = plan
  variables {
    virtual_network_address_space = "192.168.7.0/24"
  }
  assert {
    condition     = azurerm_subnet.apps[0].address_prefixes == tolist(["192.168.7.0/25"]) && azurerm_subnet.endpoints[0].address_prefixes == tolist(["192.168.7.128/27"])
    error_message = "A /24 must do."
  }
}

run "too_small_a_network_is_refused" {
  command = plan
  variables {
    virtual_network_address_space = "192.168.7.0/26"
  }
  expect_failures = [var.virtual_network_address_space]
}

run "a_given_network" {
  command = plan
  variables {
    internal_load_balancer_enabled = true
    existing_network = {
      apps_subnet_address_prefix = "10.1.0.0/26"
      apps_subnet_id             = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/hub/subnets/apps"
      endpoints_subnet_id        = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/hub/subnets/endpoints"
      private_dns_zone_ids = {
        key_vault = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-hub/providers/Microsoft.Network/privateDnsZones/privatelink.vaultcore.azure.net"
        postgres  = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-hub/providers/Microsoft.Network/privateDnsZones/privatelink.postgres.database.azure.com"
      }
    }
  }
  assert {
    condition     = length(azurerm_virtual_network.this) + length(azurerm_subnet.apps) + length(azurerm_subnet.endpoints) + length(azurerm_private_dns_zone.this) + length(azurerm_network_security_group.endpoints) == 0
    error_message = "No network must be made."
  }
  assert {
    condition     = azurerm_container_app_environment.this.internal_load_balancer_enabled && azurerm_container_app_environment.this.public_network_access == "Disabled" && endswith(azurerm_container_app_environment.this.infrastructure_subnet_id, "/hub/subnets/apps")
    error_message = "The service must be in the given network only."
  }
  assert {
    condition     = endswith(azurerm_private_endpoint.database.subnet_id, "/hub/subnets/endpoints") && endswith(azurerm_private_endpoint.database.private_dns_zone_group[0].private_dns_zone_ids[0], "/privatelink.postgres.database.azure.com")
    error_message = "The endpoints must be in the given subnet and zones."
  }
  assert {
    condition     = contains([for one in azurerm_container_app.this[0].template[0].container[0].env : one.value], "100.100.0.0/16,10.1.0.0/26")
    error_message = "The proxy of the given network must be the one that is believed."
  }
}

run "a_given_network_without_a_zone_for_redis_is_refused" {
  command = plan
  variables {
    replicas = 2
    existing_network = {
      apps_subnet_address_prefix = "10.1.0.0/26"
      apps_subnet_id             = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/hub/subnets/apps"
      endpoints_subnet_id        = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/hub/subnets/endpoints"
      private_dns_zone_ids = {
        key_vault = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-hub/providers/Microsoft.Network/privateDnsZones/privatelink.vaultcore.azure.net"
        postgres  = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-hub/providers/Microsoft.Network/privateDnsZones/privatelink.postgres.database.azure.com"
      }
    }
  }
  expect_failures = [var.existing_network]
}
