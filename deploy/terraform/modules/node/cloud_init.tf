# What a machine is told at its first start. Secrets are no part of it: the daemon has KMS wrap its
# key, and fetches its invitation from the parameter store.

locals {
  every_address = var.dual_stack ? "[::]" : "0.0.0.0"

  config = templatefile("${path.module}/files/hostquorum.toml.tftpl", {
    node                = var.node
    cluster             = var.cluster
    region              = var.secrets.region
    kms_key             = var.secrets.kms_key_arn
    join                = local.join
    address             = aws_network_interface.this.private_ip
    every_address       = local.every_address
    ports               = var.ports
    proxy_protocol_from = jsonencode(var.proxy_protocol_from)
    lame_duck_seconds   = var.lame_duck_seconds
    grace_seconds       = var.grace_seconds
    extra_config        = var.extra_config
  })

  aws_config = jsonencode({
    cluster = var.cluster
    node    = var.node
    role    = var.role
    region  = var.secrets.region
    kms_key = var.secrets.kms_key_arn
  })

  # In the order of the unit's own words; the last second is for what a flush may take.
  drop_in = <<-EOT
    [Unit]
    RequiresMountsFor=/var/lib/hostquorum

    [Service]
    TimeoutStopSec=${var.lame_duck_seconds + var.grace_seconds + 75}
  EOT

  # Attached by Terraform once the instance is there, so it is waited for; made a file system
  # only if nothing is on it.
  fstab = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${replace(aws_ebs_volume.data.id, "-", "")} /var/lib/hostquorum ext4 noatime,nofail,x-systemd.makefs,x-systemd.device-timeout=10min 0 2\n"

  user_data = join("\n", ["#cloud-config", yamlencode({
    packages       = ["python3-boto3"]
    package_update = true
    write_files = [
      { path = "/etc/hostquorum/hostquorum.toml", content = local.config },
      { path = "/etc/hostquorum/aws.json", content = local.aws_config },
      { path = "/etc/systemd/system/hostquorumd.service.d/aws.conf", content = local.drop_in },
      { path = "/etc/fstab", content = local.fstab, append = true },
      {
        path        = "/usr/local/sbin/hostquorum-aws"
        content     = base64gzip(file("${path.module}/files/hostquorum-aws"))
        encoding    = "gz+b64"
        permissions = "0755"
      },
    ]
    runcmd = [
      ["systemctl", "daemon-reload"],
      ["systemctl", "start", "var-lib-hostquorum.mount"],
      ["/usr/local/sbin/hostquorum-aws", "install", var.artifact.url, var.artifact.sha256],
      ["systemctl", "enable", "--now", "--no-block", "hostquorumd.service"],
    ]
  })])
}
