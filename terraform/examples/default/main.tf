# A vault on the internet with one replica, a network and a key vault of its own.

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

variable "my_ip_address" {
  type        = string
  description = "The public address from which you set the secrets."
}

variable "service_enabled" {
  type        = bool
  default     = true
  description = "`false` for the first apply, before the secrets are set."
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
  service_enabled     = var.service_enabled

  key_vault_name              = "kv-vertex-example"
  key_vault_allowed_ip_ranges = [var.my_ip_address]

  # The backup secret lies beside the other two, in the key vault that the module makes.
  server_share_backup_encryption_secret_name       = "vertex-backup-secret"
  server_share_backup_encryption_secret_vault_name = "kv-vertex-example"
  server_share_backup_encryption_secret_rg_name    = azurerm_resource_group.this.name

  alert_email_addresses = ["oncall@example.com"]
}

output "backup_mode" {
  description = "Must say `encrypted`."
  value       = module.vertex.backup_mode
}

output "url" {
  description = "Where the service answers."
  value       = module.vertex.url
}
