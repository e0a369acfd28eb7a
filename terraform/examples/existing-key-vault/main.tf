# All secrets lie in a key vault that a security team keeps, in another resource group; the module makes none.

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

  # The three secrets are there already, so one apply is enough.
  key_vault_name                = "kv-security-example"
  key_vault_resource_group_name = "rg-security"

  server_share_backup_encryption_secret_name       = "vertex-backup-secret"
  server_share_backup_encryption_secret_vault_name = "kv-security-example"
  server_share_backup_encryption_secret_rg_name    = "rg-security"

  alert_email_addresses = ["oncall@example.com"]
}

output "secret_ids" {
  description = "What the service may read, for the security team to compare."
  value       = module.vertex.secret_ids
}
