# Who may take which role. All of them are made, since the policies of the bucket and the key name them.

locals {
  roles = toset([
    "writer", "sync", "restorer", "verifier", "expirer", "healer", "auditor", "preparer",
  ])
  takers = { for role in local.roles : role => lookup(var.workers, role, []) }
  trust = {
    for role, takers in local.takers : role => {
      Version = "2012-10-17"
      Statement = [{
        Effect    = length(takers) > 0 ? "Allow" : "Deny"
        Action    = "sts:AssumeRole"
        Principal = { AWS = length(takers) > 0 ? takers : tolist(["*"]) }
      }]
    }
  }
}
