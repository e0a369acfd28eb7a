# The database: two zones, no password, verified TLS. Redis: only between replicas.

mock_provider "azurerm" {
  source          = "./tests/azurerm"
  override_during = plan
}

run "the_database" {
  command = plan

  assert {
    condition     = azurerm_postgresql_flexible_server.this.high_availability[0].mode == "ZoneRedundant"
    error_message = "There must be a standby in another zone."
  }
  assert {
    condition     = azurerm_postgresql_flexible_server.this.authentication[0].password_auth_enabled == false && azurerm_postgresql_flexible_server.this.authentication[0].active_directory_auth_enabled
    error_message = "There must be no password."
  }
  assert {
    condition     = azurerm_postgresql_flexible_server.this.public_network_access_enabled == false
    error_message = "The database must not be on the internet."
  }
  assert {
    condition = { for name, parameter in azurerm_postgresql_flexible_server_configuration.this : name => parameter.value } == {
      require_secure_transport = "on"
      ssl_min_protocol_version = "TLSv1.3"
      synchronous_commit       = "on"
    }
    error_message = "TLS and durability must be set."
  }
  assert {
    condition     = azurerm_postgresql_flexible_server_active_directory_administrator.this.object_id == "33333333-3333-3333-3333-333333333333" && azurerm_postgresql_flexible_server_active_directory_administrator.this.principal_name == azurerm_user_assigned_identity.this.name
    error_message = "The identity must be a role of the database."
  }
  assert {
    condition     = length(azurerm_management_lock.this) == 2 && alltrue([for lock in azurerm_management_lock.this : lock.lock_level == "CanNotDelete"])
    error_message = "Database and key vault must be locked."
  }
}

run "one_replica_needs_no_redis" {
  command = plan

  assert {
    condition     = length(azurerm_managed_redis.this) == 0 && length(azurerm_private_endpoint.redis) == 0 && !contains(keys(azurerm_private_dns_zone.this), "redis")
    error_message = "There must be no Redis, and nothing of it."
  }
  assert {
    condition     = !contains([for one in azurerm_container_app.this[0].template[0].container[0].env : one.name], "REDIS_URL")
    error_message = "The service must not be told of a Redis."
  }
  assert {
    condition     = azurerm_container_app.this[0].template[0].min_replicas == 1 && azurerm_container_app.this[0].template[0].max_replicas == 1
    error_message = "There must never be a second replica without Redis."
  }
}

run "several_replicas_need_redis" {
  command = plan
  variables {
    replicas = 3
  }

  assert {
    condition     = azurerm_managed_redis.this[0].default_database[0].access_keys_authentication_enabled == false && azurerm_managed_redis.this[0].default_database[0].client_protocol == "Encrypted"
    error_message = "Redis must have no access keys, which would be in the state, and must speak TLS only."
  }
  assert {
    condition     = azurerm_managed_redis.this[0].public_network_access == "Disabled" && azurerm_managed_redis.this[0].high_availability_enabled
    error_message = "Redis must not be on the internet, and must have a second node."
  }
  assert {
    condition     = contains([for one in azurerm_container_app.this[0].template[0].container[0].env : "${one.name}=${one.value}"], "REDIS_URL=rediss://redis-vertex.westeurope.redis.azure.net:10000")
    error_message = "The service must be told of Redis, without a password."
  }
  assert {
    condition     = azurerm_container_app.this[0].template[0].min_replicas == 3 && azurerm_container_app.this[0].template[0].max_replicas == 3
    error_message = "There must be as many replicas as asked for."
  }
  assert {
    condition     = azurerm_private_dns_zone.this["redis"].name == "privatelink.redis.azure.net" && output.redis_name == "redis-vertex"
    error_message = "Redis must be reached privately."
  }
}

run "half_a_replica_is_refused" {
  command = plan
  variables {
    replicas = 1.5
  }
  expect_failures = [var.replicas]
}

run "no_replica_is_refused" {
  command = plan
  variables {
    replicas = 0
  }
  expect_failures = [var.replicas]
}

run "a_burstable_database_is_refused" {
  command = plan
  variables {
    database_sku_name = "B_Standard_B1ms"
  }
  expect_failures = [var.database_sku_name]
}
