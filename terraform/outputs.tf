output "backup_mode" {
  description = "`encrypted`, or `plaintext` when none of the three `server_share_backup_encryption_secret_…` variables is given: then every exported share leaves unencrypted."
  value       = local.backup_mode
}

output "database_fqdn" {
  description = "Host name of the database server; resolved in its network only."
  value       = azurerm_postgresql_flexible_server.this.fqdn
}

output "environment_default_domain" {
  description = "Domain of the container app environment: with an internal load balancer, the private DNS zone to make."
  value       = azurerm_container_app_environment.this.default_domain
}

output "environment_static_ip_address" {
  description = "Address of the environment's load balancer: with an internal one, where `*` in that zone points."
  value       = azurerm_container_app_environment.this.static_ip_address
}

output "identity_client_id" {
  description = "Client id of the service's identity."
  value       = azurerm_user_assigned_identity.this.client_id
}

output "identity_principal_id" {
  description = "Object id of the service's identity: to let it use Redis, for example."
  value       = azurerm_user_assigned_identity.this.principal_id
}

output "key_vault_id" {
  description = "Resource id of the key vault with the storage key and the admin token."
  value       = local.key_vault_id
}

output "log_analytics_workspace_id" {
  description = "Resource id of the workspace that all logs go to."
  value       = local.workspace_id
}

output "redis_name" {
  description = "Name of the Azure Managed Redis; null with one replica."
  value       = one(azurerm_managed_redis.this[*].name)
}

output "resource_id" {
  description = "Resource id of the container app; null while `service_enabled` is false."
  value       = one(azurerm_container_app.this[*].id)
}

output "secret_ids" {
  description = "The secrets that the identity may read once `service_enabled` is true, and no others: resource ids without versions."
  value       = local.secret_ids
}

output "url" {
  description = "Where the service answers; null while `service_enabled` is false."
  value       = one([for app in azurerm_container_app.this : "https://${app.name}.${azurerm_container_app_environment.this.default_domain}"])
}
