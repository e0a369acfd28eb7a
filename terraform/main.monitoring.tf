resource "azurerm_log_analytics_workspace" "this" {
  count = local.makes_workspace ? 1 : 0

  name                = "log-${var.name}"
  location            = var.location
  resource_group_name = var.resource_group_name
  sku                 = "PerGB2018"
  # As long as a deleted secret can be had back.
  retention_in_days = 90
  # azurerm writes the two shared keys of a workspace into the state; with this they open nothing.
  local_authentication_enabled = false
  tags                         = var.tags
}

resource "azurerm_monitor_diagnostic_setting" "key_vault" {
  for_each = local.key_vault_ids

  name                           = "vertex-${var.name}"
  target_resource_id             = each.value
  log_analytics_workspace_id     = local.workspace_id
  log_analytics_destination_type = "Dedicated"

  enabled_log {
    category_group = "audit"
  }
}

resource "azurerm_monitor_diagnostic_setting" "service" {
  name                       = "vertex-${var.name}"
  target_resource_id         = azurerm_container_app_environment.this.id
  log_analytics_workspace_id = local.workspace_id

  enabled_log {
    category = "ContainerAppConsoleLogs"
  }
  enabled_log {
    category = "ContainerAppSystemLogs"
  }
}

resource "azurerm_monitor_diagnostic_setting" "database" {
  name                       = "vertex-${var.name}"
  target_resource_id         = azurerm_postgresql_flexible_server.this.id
  log_analytics_workspace_id = local.workspace_id

  enabled_log {
    category = "PostgreSQLLogs"
  }
}

resource "azurerm_monitor_action_group" "this" {
  count = length(var.alert_email_addresses) > 0 ? 1 : 0

  name                = "ag-${var.name}"
  resource_group_name = var.resource_group_name
  short_name          = "vertex"
  tags                = var.tags

  dynamic "email_receiver" {
    for_each = var.alert_email_addresses

    content {
      name                    = email_receiver.value
      email_address           = email_receiver.value
      use_common_alert_schema = true
    }
  }
}

check "alerts_reach_somebody" {
  assert {
    condition     = length(var.alert_email_addresses) + length(var.alert_action_group_ids) > 0
    error_message = "Alerts reach nobody: give alert_email_addresses or alert_action_group_ids."
  }
}

locals {
  action_group_ids = concat(azurerm_monitor_action_group.this[*].id, tolist(var.alert_action_group_ids))

  # What the service says about itself, one record a line.
  service_log = <<-EOT
    ContainerAppConsoleLogs
    | where ContainerAppName == "ca-${var.name}"
    | extend Record = parse_json(Log)
  EOT

  log_alerts = {
    secrets-touched = {
      severity    = 1
      description = "A secret was copied out of a key vault, put back from a copy, deleted or purged. The service never does that: find out who did."
      query       = <<-EOT
        AZKVAuditLogs
        | where _ResourceId in~ (${join(", ", [for id in values(local.key_vault_ids) : "\"${id}\""])})
        | where OperationName in ("SecretBackup", "SecretRestore", "SecretDelete", "SecretPurge")
      EOT
    }
    peer-locked-out = {
      severity    = 1
      description = "An authenticated peer failed five cryptographic checks of one share, or a failed check could not be written down."
      query       = "${local.service_log}| where Record.event in (\"key_locked\", \"setup_retirement_unwritten\")"
    }
    database-replaced = {
      severity    = 2
      description = "Users came back with API keys that the database did not know, or it was marked as restored: it was lost or put back."
      query       = "${local.service_log}| where Record.event in (\"recovered\", \"database_restored\")"
    }
    secrets-in-trouble = {
      severity    = 2
      description = "The backup secret or a version of it cannot be used: exports and imports stop within the hour."
      query       = "${local.service_log}| where Record.event in (\"key_vault_trouble\", \"secret_version_malformed\", \"secret_version_refused\")"
    }
    lease-lost = {
      severity    = 2
      description = "The service could not ask its database for five seconds, or found that another process answers for it; it answers 503 until it is its turn again."
      query       = "${local.service_log}| where Record.event == \"lease_lost\""
    }
    redis-lost = {
      severity    = 2
      description = "A replica lost Redis: until it is back, keys and signatures are answered with 503."
      query       = "${local.service_log}| where Record.event in (\"redis_lost\", \"redis_token_refused\")"
    }
    audit-refused = {
      severity    = 1
      description = "The audit log does not end as the service wrote it, or something was done whose record could not be written. While it is refused, the service answers 503."
      query       = "${local.service_log}| where Record.event in (\"audit_refused\", \"audit_unwritten\")"
    }
    audit-unanchored = {
      severity    = 2
      description = "The head of the audit log could not be kept outside of the database."
      query       = "${local.service_log}| where Record.event == \"audit_anchor_failed\""
    }
    log-refused = {
      severity    = 1
      description = "The directory's log is not as the service left it: somebody changed its tables, or an older copy was put back. Nothing is appended or signed any more; the rest of the service goes on."
      query       = "${local.service_log}| where Record.event == \"log_refused\""
    }
    log-delayed = {
      severity    = 2
      description = "Entries wait for the directory's log, which could not be written for a while; it is tried again."
      query       = "${local.service_log}| where Record.event == \"log_delayed\""
    }
    internal-problem = {
      severity    = 2
      description = "The service met an error that nobody expected."
      query       = "${local.service_log}| where Record.msg == \"internal problem\""
    }
  }

  metric_alerts = merge(
    {
      database-down = {
        severity    = 0
        description = "The database does not answer."
        scope       = azurerm_postgresql_flexible_server.this.id
        namespace   = "Microsoft.DBforPostgreSQL/flexibleServers"
        metric      = "is_db_alive"
        aggregation = "Maximum"
        operator    = "LessThan"
        threshold   = 1
        dimensions  = {}
      }
      database-filling = {
        severity    = 2
        description = "The database's disk is 80 % full; before it is full, the server turns read-only."
        scope       = azurerm_postgresql_flexible_server.this.id
        namespace   = "Microsoft.DBforPostgreSQL/flexibleServers"
        metric      = "storage_percent"
        aggregation = "Maximum"
        operator    = "GreaterThan"
        threshold   = 80
        dimensions  = {}
      }
    },
    var.service_enabled ? {
      requests-failing = {
        severity    = 2
        description = "More than ten requests in five minutes were answered with 5xx."
        scope       = azurerm_container_app.this[0].id
        namespace   = "Microsoft.App/containerapps"
        metric      = "Requests"
        aggregation = "Total"
        operator    = "GreaterThan"
        threshold   = 10
        dimensions  = { statusCodeCategory = ["5xx"] }
      }
      restarts = {
        severity    = 1
        description = "Replicas of the service keep restarting."
        scope       = azurerm_container_app.this[0].id
        namespace   = "Microsoft.App/containerapps"
        metric      = "RestartCount"
        aggregation = "Maximum"
        operator    = "GreaterThan"
        threshold   = 2
        dimensions  = {}
      }
      replicas-missing = {
        severity    = 1
        description = "Fewer replicas run than there should be."
        scope       = azurerm_container_app.this[0].id
        namespace   = "Microsoft.App/containerapps"
        metric      = "Replicas"
        aggregation = "Maximum"
        operator    = "LessThan"
        threshold   = var.replicas
        dimensions  = {}
      }
    } : {},
    local.makes_redis ? {
      redis-filling = {
        severity    = 2
        description = "Redis is 80 % full; when it is full, rooms cannot be opened."
        scope       = azurerm_managed_redis.this[0].id
        namespace   = "Microsoft.Cache/redisEnterprise"
        metric      = "usedmemorypercentage"
        aggregation = "Maximum"
        operator    = "GreaterThan"
        threshold   = 80
        dimensions  = {}
      }
    } : {},
  )
}

resource "azurerm_monitor_scheduled_query_rules_alert_v2" "this" {
  for_each = local.log_alerts

  name                 = "alert-${var.name}-${each.key}"
  location             = var.location
  resource_group_name  = var.resource_group_name
  description          = each.value.description
  severity             = each.value.severity
  scopes               = [local.workspace_id]
  evaluation_frequency = "PT5M"
  # Longer than the pause between two looks, because records arrive late.
  window_duration         = "PT15M"
  auto_mitigation_enabled = false
  # A new workspace has none of the tables yet.
  skip_query_validation = true
  tags                  = var.tags

  criteria {
    query                   = each.value.query
    time_aggregation_method = "Count"
    operator                = "GreaterThan"
    threshold               = 0
  }

  action {
    action_groups = local.action_group_ids
  }
}

resource "azurerm_monitor_metric_alert" "this" {
  for_each = local.metric_alerts

  name                = "alert-${var.name}-${each.key}"
  resource_group_name = var.resource_group_name
  description         = each.value.description
  severity            = each.value.severity
  scopes              = [each.value.scope]
  frequency           = "PT1M"
  window_size         = "PT5M"
  tags                = var.tags

  criteria {
    metric_namespace = each.value.namespace
    metric_name      = each.value.metric
    aggregation      = each.value.aggregation
    operator         = each.value.operator
    threshold        = each.value.threshold

    dynamic "dimension" {
      for_each = each.value.dimensions

      content {
        name     = dimension.key
        operator = "Include"
        values   = dimension.value
      }
    }
  }

  dynamic "action" {
    for_each = local.action_group_ids

    content {
      action_group_id = action.value
    }
  }
}
