# What every test begins with; a file or a run says where it differs.
name                  = "vertex"
location              = "westeurope"
resource_group_name   = "rg-vertex"
key_vault_name        = "kv-vertex"
vault_name            = "production"
image                 = "example.azurecr.io/vertex@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
alert_email_addresses = ["oncall@example.com"]

server_share_backup_encryption_secret_name       = "vertex-backup-secret"
server_share_backup_encryption_secret_vault_name = "kv-security"
server_share_backup_encryption_secret_rg_name    = "rg-security"
