# Encrypted with all three documented variables, plaintext and loud with none, an error otherwise.

mock_provider "azurerm" {
  source          = "./tests/azurerm"
  override_during = plan
}

variables {
  server_share_backup_encryption_secret_name       = null
  server_share_backup_encryption_secret_vault_name = null
  server_share_backup_encryption_secret_rg_name    = null
}

run "none_is_plaintext_and_says_so" {
  command = plan

  assert {
    condition     = output.backup_mode == "plaintext"
    error_message = "The output must say plaintext."
  }
  assert {
    condition = { for one in azurerm_container_app.this[0].template[0].container[0].env : one.name => one.value if startswith(one.name, "VERTEX_BACKUP") || startswith(one.name, "VERTEX_ALLOW") } == {
      VERTEX_BACKUP_MODE      = "plaintext"
      VERTEX_ALLOW_RAW_EXPORT = "yes-i-understand"
    }
    error_message = "The service must be told to export in plaintext, and that it is meant."
  }
  expect_failures = [check.backups_are_encrypted]
}

run "all_three_are_encrypted" {
  command = plan

  variables {
    server_share_backup_encryption_secret_name       = "vertex-backup-secret"
    server_share_backup_encryption_secret_vault_name = "kv-security"
    server_share_backup_encryption_secret_rg_name    = "rg-security"
  }

  assert {
    condition     = output.backup_mode == "encrypted"
    error_message = "The output must say encrypted."
  }
  assert {
    condition = { for one in azurerm_container_app.this[0].template[0].container[0].env : one.name => one.value if startswith(one.name, "VERTEX_BACKUP") || startswith(one.name, "VERTEX_ALLOW") } == {
      VERTEX_BACKUP_MODE              = "encrypted"
      VERTEX_BACKUP_SECRET_NAME       = "vertex-backup-secret"
      VERTEX_BACKUP_SECRET_VAULT_NAME = "kv-security"
    }
    error_message = "The service must be told the names of the secret and its vault, and nothing of raw exports."
  }
  assert {
    condition     = data.azurerm_key_vault.backup[0].name == "kv-security" && data.azurerm_key_vault.backup[0].resource_group_name == "rg-security"
    error_message = "The key vault must be looked up where the variables say."
  }
}

run "the_name_alone_is_refused" {
  command = plan
  variables {
    server_share_backup_encryption_secret_name = "vertex-backup-secret"
  }
  expect_failures = [var.server_share_backup_encryption_secret_name]
}

run "the_vault_alone_is_refused" {
  command = plan
  variables {
    server_share_backup_encryption_secret_vault_name = "kv-security"
  }
  expect_failures = [var.server_share_backup_encryption_secret_name]
}

run "the_resource_group_alone_is_refused" {
  command = plan
  variables {
    server_share_backup_encryption_secret_rg_name = "rg-security"
  }
  expect_failures = [var.server_share_backup_encryption_secret_name]
}

run "two_without_the_resource_group_are_refused" {
  command = plan
  variables {
    server_share_backup_encryption_secret_name       = "vertex-backup-secret"
    server_share_backup_encryption_secret_vault_name = "kv-security"
  }
  expect_failures = [var.server_share_backup_encryption_secret_name]
}

run "two_without_the_vault_are_refused" {
  command = plan
  variables {
    server_share_backup_encryption_secret_name    = "vertex-backup-secret"
    server_share_backup_encryption_secret_rg_name = "rg-security"
  }
  expect_failures = [var.server_share_backup_encryption_secret_name]
}

run "two_without_the_name_are_refused" {
  command = plan
  variables {
    server_share_backup_encryption_secret_vault_name = "kv-security"
    server_share_backup_encryption_secret_rg_name    = "rg-security"
  }
  expect_failures = [var.server_share_backup_encryption_secret_name]
}

run "an_empty_name_is_not_a_name" {
  command = plan
  variables {
    server_share_backup_encryption_secret_name       = ""
    server_share_backup_encryption_secret_vault_name = "kv-security"
    server_share_backup_encryption_secret_rg_name    = "rg-security"
  }
  expect_failures = [var.server_share_backup_encryption_secret_name]
}

run "the_storage_key_is_not_the_backup_secret" {
  command = plan
  variables {
    server_share_backup_encryption_secret_name       = "Vertex-Storage-Key"
    server_share_backup_encryption_secret_vault_name = "kv-vertex"
    server_share_backup_encryption_secret_rg_name    = "rg-vertex"
  }
  expect_failures = [var.storage_key_secret_name]
}

run "one_vault_is_in_one_resource_group" {
  command = plan
  variables {
    server_share_backup_encryption_secret_name       = "vertex-backup-secret"
    server_share_backup_encryption_secret_vault_name = "kv-vertex"
    server_share_backup_encryption_secret_rg_name    = "rg-elsewhere"
  }
  expect_failures = [var.server_share_backup_encryption_secret_rg_name]
}
