# The one identity of the service: it reads secrets, logs in to the database and to Redis, and pulls the image.
resource "azurerm_user_assigned_identity" "this" {
  name                = "id-${var.name}"
  location            = var.location
  resource_group_name = var.resource_group_name
  tags                = var.tags
}

# "Key Vault Secrets User" has two data actions and nothing else: secrets/getSecret (the value of a version) and
# secrets/readMetadata (the list of versions). At the scope of one secret it gives exactly get and list-versions of that
# secret. Terraform can assign it only once the secret exists: see service_enabled.
resource "azurerm_role_assignment" "secret" {
  for_each = var.service_enabled ? local.secret_ids : {}

  scope                = each.value
  role_definition_name = "Key Vault Secrets User"
  principal_id         = azurerm_user_assigned_identity.this.principal_id
  principal_type       = "ServicePrincipal"
  description          = "Vertex ${var.name} reads this secret and its versions."
}

resource "azurerm_role_assignment" "registry" {
  count = var.container_registry == null ? 0 : 1

  scope                = var.container_registry.resource_id
  role_definition_name = "AcrPull"
  principal_id         = azurerm_user_assigned_identity.this.principal_id
  principal_type       = "ServicePrincipal"
  description          = "Vertex ${var.name} pulls its image."
}
