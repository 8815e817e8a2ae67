"""What S3 offers beside objects: versions, archives, lifecycles, replication, encryption, policies, locks."""
