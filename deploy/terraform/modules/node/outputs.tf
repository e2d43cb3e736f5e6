output "instance_id" {
  description = "The instance that is this node now."
  value       = aws_instance.this.id
}

output "private_ip" {
  description = "Its address in the VPC, which outlives the instance."
  value       = aws_network_interface.this.private_ip
}

output "role_arn" {
  description = "Its role."
  value       = aws_iam_role.this.arn
}

output "user_data" {
  description = "What cloud-init is told. Holds no secret."
  value       = local.user_data
}
