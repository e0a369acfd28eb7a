locals {
  # Names and addresses only: whoever reads the state or the settings of the container app learns no secret.
  environment = merge(
    {
      AZURE_CLIENT_ID                  = azurerm_user_assigned_identity.this.client_id
      DATABASE_URL                     = "postgres://${azurerm_user_assigned_identity.this.name}@${azurerm_postgresql_flexible_server.this.fqdn}:5432/${azurerm_postgresql_flexible_server_database.this.name}?sslmode=verify-full"
      HOST                             = "0.0.0.0"
      PORT                             = "8080"
      VERTEX_ADMIN_SECRET_NAME         = var.admin_token_secret_name
      VERTEX_ADMIN_SECRET_VAULT_NAME   = var.key_vault_name
      VERTEX_BACKUP_MODE               = local.backup_mode
      VERTEX_STORAGE_SECRET_NAME       = var.storage_key_secret_name
      VERTEX_STORAGE_SECRET_VAULT_NAME = var.key_vault_name
      VERTEX_TLS                       = "terminated-by-proxy"
      # The environment's own proxy, which takes its addresses from a range reserved for it, or from the subnet.
      VERTEX_TRUSTED_PROXIES = "100.100.0.0/16,${local.apps_subnet_range}"
      VERTEX_VAULT_NAME      = var.vault_name
    },
    local.encrypted ? {
      VERTEX_BACKUP_SECRET_NAME       = var.server_share_backup_encryption_secret_name
      VERTEX_BACKUP_SECRET_VAULT_NAME = var.server_share_backup_encryption_secret_vault_name
      } : {
      VERTEX_ALLOW_RAW_EXPORT = "yes-i-understand"
    },
    local.makes_redis ? { REDIS_URL = "rediss://${azurerm_managed_redis.this[0].hostname}:10000" } : {},
  )
}

resource "azurerm_container_app_environment" "this" {
  name                = "cae-${var.name}"
  location            = var.location
  resource_group_name = var.resource_group_name
  tags                = var.tags

  # By a diagnostic setting, see main.monitoring.tf: the other way needs a shared key of the workspace.
  logs_destination = "azure-monitor"

  infrastructure_subnet_id       = local.apps_subnet_id
  internal_load_balancer_enabled = var.internal_load_balancer_enabled
  public_network_access          = var.internal_load_balancer_enabled ? "Disabled" : "Enabled"
  zone_redundancy_enabled        = true

  workload_profile {
    name                  = local.profile
    workload_profile_type = var.workload_profile_type
    minimum_count         = local.consumption ? null : var.replicas
    # A new revision runs beside the old one for a moment.
    maximum_count = local.consumption ? null : 2 * var.replicas
  }
}

resource "azurerm_container_app" "this" {
  count = var.service_enabled ? 1 : 0

  name                         = "ca-${var.name}"
  resource_group_name          = var.resource_group_name
  container_app_environment_id = azurerm_container_app_environment.this.id
  revision_mode                = "Single"
  max_inactive_revisions       = 5
  workload_profile_name        = local.profile
  tags                         = var.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.this.id]
  }

  dynamic "registry" {
    for_each = var.container_registry == null ? [] : [var.container_registry]

    content {
      server   = registry.value.login_server
      identity = azurerm_user_assigned_identity.this.id
    }
  }

  ingress {
    external_enabled           = true
    target_port                = 8080
    transport                  = "http"
    allow_insecure_connections = false

    traffic_weight {
      latest_revision = true
      percentage      = 100
    }

    dynamic "ip_security_restriction" {
      for_each = var.allowed_ip_ranges

      content {
        name             = "allow-${replace(replace(ip_security_restriction.value, "/[.:]/", "-"), "/", "-")}"
        ip_address_range = ip_security_restriction.value
        action           = "Allow"
      }
    }
  }

  template {
    min_replicas = var.replicas
    max_replicas = var.replicas
    # The service finishes what is under way within 20 seconds, and gives up after 25.
    termination_grace_period_seconds = 30

    container {
      name   = "vertex"
      image  = var.image
      cpu    = 2
      memory = "4Gi"

      dynamic "env" {
        for_each = merge(var.settings, local.environment)

        content {
          name  = env.key
          value = env.value
        }
      }

      # A new role takes a few minutes to be known everywhere, and the first start waits for it.
      startup_probe {
        transport               = "HTTP"
        port                    = 8080
        path                    = "/livez"
        interval_seconds        = 10
        failure_count_threshold = 30
        timeout                 = 5
      }

      liveness_probe {
        transport               = "HTTP"
        port                    = 8080
        path                    = "/livez"
        interval_seconds        = 10
        failure_count_threshold = 3
        timeout                 = 5
      }

      readiness_probe {
        transport               = "HTTP"
        port                    = 8080
        path                    = "/readyz"
        interval_seconds        = 5
        failure_count_threshold = 2
        success_count_threshold = 1
        timeout                 = 5
      }
    }
  }

  lifecycle {
    precondition {
      condition     = length(setintersection(keys(var.settings), keys(local.environment))) == 0
      error_message = "settings must not hold what the module sets itself: ${join(", ", setintersection(keys(var.settings), keys(local.environment)))}."
    }
  }

  depends_on = [
    azurerm_role_assignment.secret,
    azurerm_role_assignment.registry,
    azurerm_postgresql_flexible_server_active_directory_administrator.this,
    azurerm_postgresql_flexible_server_configuration.this,
    azurerm_private_endpoint.database,
    azurerm_private_endpoint.key_vault,
    azurerm_private_endpoint.redis,
    azurerm_private_dns_zone_virtual_network_link.this,
    azurerm_monitor_diagnostic_setting.key_vault,
  ]
}
