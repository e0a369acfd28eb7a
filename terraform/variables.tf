variable "image" {
  type        = string
  description = "Image of the service, by digest: `registry/name@sha256:…`."
  nullable    = false

  validation {
    condition     = can(regex("^[^\\s@]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image must be pinned by its digest: registry/name@sha256:… with 64 hex digits."
  }
}

variable "key_vault_name" {
  type        = string
  description = "Name of the key vault that holds the storage key and the admin token. The module makes it, unless `key_vault_resource_group_name` says where it is already."
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z](-?[0-9A-Za-z]){2,23}$", var.key_vault_name))
    error_message = "key_vault_name must have 3 to 24 letters, digits and single hyphens, and begin with a letter."
  }
}

variable "location" {
  type        = string
  description = "Azure region. It must have availability zones."
  nullable    = false
}

variable "name" {
  type        = string
  description = "Name of this deployment; part of the names of all its resources, two of which must be unique in the world."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z](-?[a-z0-9]){2,19}$", var.name))
    error_message = "name must have 3 to 20 of a-z, 0-9 and single hyphens, and begin with a letter."
  }
}

variable "resource_group_name" {
  type        = string
  description = "Resource group for everything that the module makes."
  nullable    = false
}

variable "vault_name" {
  type        = string
  description = "`VERTEX_VAULT_NAME`: bound into backups, API keys and the vault's identity. Environments that share a backup secret need different names. It never changes."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$", var.vault_name))
    error_message = "vault_name must have 1 to 63 of a-z, 0-9, dot, hyphen and underscore."
  }
}

variable "admin_token_secret_name" {
  type        = string
  default     = "vertex-admin-token"
  description = "Name of the secret in the key vault that holds the admin token."
  nullable    = false

  validation {
    condition     = can(regex("^[0-9A-Za-z-]{1,127}$", var.admin_token_secret_name))
    error_message = "admin_token_secret_name must have 1 to 127 letters, digits and hyphens."
  }
}

variable "alert_action_group_ids" {
  type        = set(string)
  default     = []
  description = "Resource ids of action groups that every alert goes to."
  nullable    = false
}

variable "alert_email_addresses" {
  type        = set(string)
  default     = []
  description = "Addresses that every alert goes to."
  nullable    = false
}

variable "allowed_ip_ranges" {
  type        = set(string)
  default     = []
  description = "Ranges such as `203.0.113.0/24` from which the service may be called. None means from everywhere that reaches its load balancer."
  nullable    = false

  validation {
    condition     = alltrue([for range in var.allowed_ip_ranges : can(cidrhost(range, 0))])
    error_message = "allowed_ip_ranges must be ranges such as 203.0.113.0/24."
  }
}

variable "container_registry" {
  type = object({
    login_server = string
    resource_id  = string
  })
  default     = null
  description = "Azure container registry that the image is pulled from, as the service's identity. Without it the image must be public."
}

variable "database_sku_name" {
  type        = string
  default     = "GP_Standard_D2ds_v5"
  description = "Size of the Postgres server: general purpose or memory optimised, because burstable ones have no standby."
  nullable    = false

  validation {
    condition     = can(regex("^(GP|MO)_", var.database_sku_name))
    error_message = "database_sku_name must begin with GP_ or MO_: a burstable server cannot have a standby in another zone."
  }
}

variable "database_version" {
  type        = string
  default     = "15"
  description = "Major version of Postgres. The tests of the service run on 15."
  nullable    = false
}

variable "existing_network" {
  type = object({
    apps_subnet_address_prefix = string
    apps_subnet_id             = string
    endpoints_subnet_id        = string
    private_dns_zone_ids = object({
      key_vault = string
      postgres  = string
      redis     = optional(string)
    })
  })
  default     = null
  description = <<-EOT
    Network to use in place of one that the module makes:
    - `apps_subnet_id`: a subnet delegated to `Microsoft.App/environments`, /27 or larger, used by nothing else; `apps_subnet_address_prefix` is its range.
    - `endpoints_subnet_id`: a subnet for private endpoints.
    - `private_dns_zone_ids`: of `privatelink.vaultcore.azure.net`, `privatelink.postgres.database.azure.com` and, with several replicas, `privatelink.redis.azure.net`, linked to the network of the first subnet.
  EOT

  validation {
    condition     = var.existing_network == null || var.replicas == 1 || try(var.existing_network.private_dns_zone_ids.redis, null) != null
    error_message = "existing_network.private_dns_zone_ids.redis is needed when replicas is more than 1."
  }
}

variable "internal_load_balancer_enabled" {
  type        = bool
  default     = false
  description = "Whether the service has an address in its own network only, and none on the internet."
  nullable    = false
}

variable "key_vault_allowed_ip_ranges" {
  type        = set(string)
  default     = []
  description = "Public addresses of those who set secrets in the key vault that the module makes. None means that it can be reached from its network only."
  nullable    = false
}

variable "key_vault_resource_group_name" {
  type        = string
  default     = null
  description = "Resource group of an existing key vault `key_vault_name`. Without it the module makes the key vault."
}

variable "lock" {
  type = object({
    kind = string
  })
  default     = { kind = "CanNotDelete" }
  description = "Lock on the database server and on the key vault that the module makes: `CanNotDelete` or `ReadOnly`. `null` for none."

  validation {
    condition     = var.lock == null || contains(["CanNotDelete", "ReadOnly"], try(var.lock.kind, ""))
    error_message = "lock.kind must be CanNotDelete or ReadOnly."
  }
}

variable "log_analytics_workspace_id" {
  type        = string
  default     = null
  description = "Resource id of a Log Analytics workspace to use. Without it the module makes one."
}

variable "redis_sku_name" {
  type        = string
  default     = "Balanced_B0"
  description = "Size of the Azure Managed Redis that carries rooms between replicas; there is one when `replicas` is more than 1."
  nullable    = false
}

variable "replicas" {
  type        = number
  default     = 1
  description = "How many copies of the service run. More than one need Redis, and one more step when they are set up: docs/operations/azure.md."
  nullable    = false

  validation {
    condition     = var.replicas >= 1 && var.replicas <= 10 && floor(var.replicas) == var.replicas
    error_message = "replicas must be a whole number, 1 to 10."
  }
}

variable "server_share_backup_encryption_secret_name" {
  type        = string
  default     = null
  description = "Name of the Key Vault secret under which exported shares are encrypted. Comes with the other two; with none of the three, exports are not encrypted."

  validation {
    condition = contains([0, 3], length([
      for given in [
        var.server_share_backup_encryption_secret_name,
        var.server_share_backup_encryption_secret_vault_name,
        var.server_share_backup_encryption_secret_rg_name,
      ] : given if given != null
    ]))
    error_message = "server_share_backup_encryption_secret_name, server_share_backup_encryption_secret_vault_name and server_share_backup_encryption_secret_rg_name go together: give all three for encrypted backups, or none for plaintext ones."
  }

  validation {
    condition     = var.server_share_backup_encryption_secret_name == null || can(regex("^[0-9A-Za-z-]{1,127}$", var.server_share_backup_encryption_secret_name))
    error_message = "server_share_backup_encryption_secret_name must have 1 to 127 letters, digits and hyphens."
  }
}

variable "server_share_backup_encryption_secret_rg_name" {
  type        = string
  default     = null
  description = "Resource group of the key vault with the backup secret."

  validation {
    condition     = var.server_share_backup_encryption_secret_rg_name == null || can(regex("^[-\\w._()]{1,90}$", var.server_share_backup_encryption_secret_rg_name))
    error_message = "server_share_backup_encryption_secret_rg_name must be the name of a resource group."
  }

  validation {
    # A key vault's name is unique in the world, so two resource groups for one name are a mistake.
    condition = (
      var.server_share_backup_encryption_secret_rg_name == null ||
      lower(coalesce(var.server_share_backup_encryption_secret_vault_name, "-")) != lower(var.key_vault_name) ||
      lower(coalesce(var.server_share_backup_encryption_secret_rg_name, "-")) == lower(coalesce(var.key_vault_resource_group_name, var.resource_group_name))
    )
    error_message = "server_share_backup_encryption_secret_rg_name and the resource group of key_vault_name differ, but the key vault is the same."
  }
}

variable "server_share_backup_encryption_secret_vault_name" {
  type        = string
  default     = null
  description = "Key vault with the backup secret: one of its own, or the same as `key_vault_name`."

  validation {
    condition     = var.server_share_backup_encryption_secret_vault_name == null || can(regex("^[A-Za-z](-?[0-9A-Za-z]){2,23}$", var.server_share_backup_encryption_secret_vault_name))
    error_message = "server_share_backup_encryption_secret_vault_name must have 3 to 24 letters, digits and single hyphens, and begin with a letter."
  }
}

variable "service_enabled" {
  type        = bool
  default     = true
  description = "`false` makes everything but the service itself and its access to the secrets: for the first apply, after which the secrets are set."
  nullable    = false
}

variable "settings" {
  type        = map(string)
  default     = {}
  description = "Further settings of the service, such as `VERTEX_CORS_ORIGINS`: docs/operations/configuration.md. No secrets."
  nullable    = false

  validation {
    condition     = alltrue([for name, value in var.settings : startswith(name, "VERTEX_") && value != ""])
    error_message = "settings must have names that begin with VERTEX_, and no empty values."
  }

  validation {
    condition     = !contains(keys(var.settings), "VERTEX_ADMIN_TOKEN")
    error_message = "settings must not hold VERTEX_ADMIN_TOKEN: the token would be in the state. It is read from the key vault."
  }
}

variable "storage_key_secret_name" {
  type        = string
  default     = "vertex-storage-key"
  description = "Name of the secret in the key vault that holds the storage key."
  nullable    = false

  validation {
    condition     = can(regex("^[0-9A-Za-z-]{1,127}$", var.storage_key_secret_name))
    error_message = "storage_key_secret_name must have 1 to 127 letters, digits and hyphens."
  }

  validation {
    condition = length(distinct([
      for secret in compact([
        lower("${var.key_vault_name}/${var.storage_key_secret_name}"),
        lower("${var.key_vault_name}/${var.admin_token_secret_name}"),
        local.encrypted ? lower("${var.server_share_backup_encryption_secret_vault_name}/${var.server_share_backup_encryption_secret_name}") : "",
      ]) : secret
    ])) == (local.encrypted ? 3 : 2)
    error_message = "storage_key_secret_name, admin_token_secret_name and the backup secret must be different secrets."
  }
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "Tags of all resources."
  nullable    = false
}

variable "virtual_network_address_space" {
  type        = string
  default     = "10.42.0.0/22"
  description = "Range of the network that the module makes, /24 or larger."
  nullable    = false

  validation {
    condition     = can(cidrsubnet(var.virtual_network_address_space, 3, 7)) && try(tonumber(split("/", var.virtual_network_address_space)[1]) <= 24, false)
    error_message = "virtual_network_address_space must be a range such as 10.42.0.0/22, /24 or larger."
  }
}

variable "workload_profile_type" {
  type        = string
  default     = "D4"
  description = "Machines that the service runs on. The default, like all D and E profiles, is of this deployment alone; `Consumption` shares hosts with strangers."
  nullable    = false

  validation {
    condition     = can(regex("^(Consumption|[DE](4|8|16|32))$", var.workload_profile_type))
    error_message = "workload_profile_type must be Consumption, or D4 to D32 or E4 to E32."
  }
}
