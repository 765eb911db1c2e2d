"""S3 as it names things: a key is a string of bytes, and no part of it means more than itself."""

from data_contracts.s3 import S3


class S3Keys(S3):
    """s3fs takes `?versionId=` at a key's end for a version, and read another object (or none) than was listed."""

    def split_path(self, path: str) -> tuple[str, str, None]:
        """Bucket, key, and no version."""
        slashes = path[len(path.rstrip("/")) :]
        bare = self._strip_protocol(path).lstrip("/")
        if "/" not in bare:
            return bare, "", None
        bucket, key = self._find_bucket_key(bare)
        return bucket, key + slashes, None
