terraform {
  # Validations that look at several variables came with 1.9.
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # The one that the checks know, see deploy/README.md; it need not be the first that would do.
      version = ">= 6.62"
    }
  }
}
