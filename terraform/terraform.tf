terraform {
  # 1.9: a validation may look at other variables.
  required_version = ">= 1.9, < 2.0"

  required_providers {
    azurerm = {
      source = "hashicorp/azurerm"
      # 4.55: Azure Managed Redis, and a container app's Key Vault references without their values in the state.
      version = "~> 4.55"
    }
  }
}
