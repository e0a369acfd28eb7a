# Carries the messages of rooms between replicas. Nothing in it outlives a room, and all of it is sealed end to end.
resource "azurerm_managed_redis" "this" {
  count = local.makes_redis ? 1 : 0

  name                = "redis-${var.name}"
  location            = var.location
  resource_group_name = var.resource_group_name
  sku_name            = var.redis_sku_name
  tags                = var.tags

  high_availability_enabled = true
  public_network_access     = "Disabled"

  default_database {
    # With access keys azurerm would write them into the state.
    access_keys_authentication_enabled = false
    client_protocol                    = "Encrypted"
    # One address for clients that know nothing of clusters.
    clustering_policy = "EnterpriseCluster"
    eviction_policy   = "NoEviction"
  }
}
