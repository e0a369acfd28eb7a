# Who is told of what.

mock_provider "azurerm" {
  source          = "./tests/azurerm"
  override_during = plan
}

run "secrets_touched" {
  command = plan

  assert {
    condition = alltrue([for operation in ["SecretBackup", "SecretRestore", "SecretDelete", "SecretPurge"] :
    strcontains(azurerm_monitor_scheduled_query_rules_alert_v2.this["secrets-touched"].criteria[0].query, "\"${operation}\"")])
    error_message = "Somebody must be told when a secret is copied, put back, deleted or purged."
  }
  assert {
    condition = alltrue([for vault in ["kv-vertex", "kv-security"] :
    strcontains(azurerm_monitor_scheduled_query_rules_alert_v2.this["secrets-touched"].criteria[0].query, "/vaults/${vault}\"")])
    error_message = "Both key vaults must be watched, and no others in the same workspace."
  }
  assert {
    condition = alltrue([for setting in azurerm_monitor_diagnostic_setting.key_vault :
    [for log in setting.enabled_log : log.category_group] == ["audit"] && setting.log_analytics_destination_type == "Dedicated"])
    error_message = "The audit log of each key vault must reach the table that the alert reads."
  }
  assert {
    condition     = toset([for setting in azurerm_monitor_diagnostic_setting.key_vault : setting.target_resource_id]) == toset(values(local.key_vault_ids))
    error_message = "Each key vault must be logged."
  }
}

run "every_alert_reaches_everyone" {
  command = plan
  variables {
    alert_action_group_ids = ["/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-oncall/providers/Microsoft.Insights/actionGroups/oncall"]
  }
  assert {
    condition     = alltrue([for alert in azurerm_monitor_scheduled_query_rules_alert_v2.this : length(alert.action[0].action_groups) == 2])
    error_message = "Log alerts must go to the addresses and to the action group."
  }
  assert {
    condition     = length(local.action_group_ids) == 2
    error_message = "Metric alerts must go to the addresses and to the action group."
  }
}

run "what_is_watched" {
  command = plan
  assert {
    condition     = toset(keys(azurerm_monitor_scheduled_query_rules_alert_v2.this)) == toset(["secrets-touched", "peer-locked-out", "database-replaced", "secrets-in-trouble", "lease-lost", "redis-lost", "audit-refused", "audit-unanchored", "log-refused", "log-delayed", "internal-problem"])
    error_message = "The alerts on logs must be these."
  }
  assert {
    condition = alltrue([for alert, event in { log-refused = "log_refused", log-delayed = "log_delayed" } :
    endswith(azurerm_monitor_scheduled_query_rules_alert_v2.this[alert].criteria[0].query, "| where Record.event == \"${event}\"")])
    error_message = "Somebody must be told when the directory's log is not continued, or waits."
  }
  assert {
    condition     = toset(keys(azurerm_monitor_metric_alert.this)) == toset(["database-down", "database-filling", "requests-failing", "restarts", "replicas-missing"])
    error_message = "The alerts on metrics must be these."
  }
  assert {
    condition     = azurerm_monitor_metric_alert.this["requests-failing"].criteria[0].dimension[0].values == tolist(["5xx"])
    error_message = "Only failed requests count."
  }
}

run "with_redis" {
  command = plan
  variables {
    replicas = 2
  }
  assert {
    condition     = contains(keys(azurerm_monitor_metric_alert.this), "redis-filling") && azurerm_monitor_metric_alert.this["replicas-missing"].criteria[0].threshold == 2
    error_message = "Redis and both replicas must be watched."
  }
}

run "nobody" {
  command = plan
  variables {
    alert_email_addresses = []
  }
  expect_failures = [check.alerts_reach_somebody]
}

run "a_workspace_without_keys" {
  command = plan
  assert {
    condition     = azurerm_log_analytics_workspace.this[0].local_authentication_enabled == false && azurerm_container_app_environment.this.logs_destination == "azure-monitor"
    error_message = "The workspace's keys are in the state, so they must open nothing."
  }
}

run "a_given_workspace" {
  command = plan
  variables {
    log_analytics_workspace_id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-logs/providers/Microsoft.OperationalInsights/workspaces/logs"
  }
  assert {
    condition     = length(azurerm_log_analytics_workspace.this) == 0 && endswith(azurerm_monitor_diagnostic_setting.service.log_analytics_workspace_id, "/workspaces/logs")
    error_message = "Logs must go to the given workspace."
  }
}
