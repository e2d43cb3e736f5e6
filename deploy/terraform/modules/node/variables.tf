variable "cluster" {
  description = "Name of the cluster: what its resources are called, and where its parameters are."
  type        = string
}

variable "node" {
  description = "Name of this node, unique in the cluster."
  type        = string
}

variable "role" {
  description = "`voter` or `learner`. Only voters may found the cluster and invite nodes."
  type        = string

  validation {
    condition     = contains(["voter", "learner"], var.role)
    error_message = "A node is a voter or a learner."
  }
}

variable "subnet_id" {
  description = "Subnet of its network interface."
  type        = string
}

variable "availability_zone" {
  description = "Zone of that subnet, for its volume."
  type        = string
}

variable "private_ip" {
  description = "Its address in the subnet; null: AWS chooses one, which stays."
  type        = string
  default     = null
}

variable "dual_stack" {
  description = "Give it an IPv6 address too."
  type        = bool
  default     = false
}

variable "public_ip" {
  description = "Give it a public IPv4 address of its own."
  type        = bool
  default     = true
}

variable "security_group_ids" {
  description = "Security groups of its network interface."
  type        = list(string)
}

variable "ami_id" {
  description = "Image to start from. A change of it changes no machine that is there."
  type        = string
}

variable "instance_type" {
  description = "Type of the machine."
  type        = string
}

variable "data_volume" {
  description = "Its gp3 volume: size in GiB, IOPS, throughput in MiB/s."
  type = object({
    size       = optional(number, 20)
    iops       = optional(number, 3000)
    throughput = optional(number, 125)
  })
  default = {}
}

variable "volume_key_arn" {
  description = "KMS key of this Region that encrypts its volumes."
  type        = string
}

variable "secrets" {
  description = "Where the cluster's parameters are: the Region, and the KMS key that encrypts them and wraps the nodes' own keys."
  type = object({
    region      = string
    kms_key_arn = string
  })
}

variable "artifact" {
  description = "The Debian package to install: an https URL and its SHA-256."
  type = object({
    url    = string
    sha256 = string
  })
}

variable "ports" {
  description = "Ports that the node binds."
  type = object({
    https  = optional(number, 8443)
    http   = optional(number, 8080)
    peer   = optional(number, 7443)
    admin  = optional(number, 7444)
    health = optional(number, 9080)
  })
  default = {}
}

variable "proxy_protocol_from" {
  description = "Networks of load balancers that say who clients are by the PROXY protocol; empty: clients' own addresses arrive."
  type        = list(string)
  default     = []
}

variable "lame_duck_seconds" {
  description = "How long it serves on, told to be not ready, before connections are told to end."
  type        = number
  default     = 45
}

variable "grace_seconds" {
  description = "How long connections may then take to end."
  type        = number
  default     = 300
}

variable "extra_config" {
  description = "Further sections of hostquorum.toml, as TOML: all but key, aws, https, http, peer, admin, health, edge and log, which the module writes."
  type        = string
  default     = ""
}

variable "permissions_boundary" {
  description = "ARN of a policy that bounds the node's role; null: none."
  type        = string
  default     = null
}

variable "alarm_actions" {
  description = "ARNs that are told when its status checks fail, and when they pass again."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags of all that belongs to it."
  type        = map(string)
  default     = {}
}
