"""S3 as it names things: a key is a string of bytes, and no part of it means more than itself."""

import s3fs


class S3Keys(s3fs.S3FileSystem):  # type: ignore[misc]
    """s3fs takes `?versionId=` at a key's end for a version, and read another object (or none) than was listed."""

    def split_path(self, path: str) -> tuple[str, str, None]:
        """Bucket, key, and no version."""
        slashes = path[len(path.rstrip("/")) :]
        bare = self._strip_protocol(path).lstrip("/")
        if "/" not in bare:
            return bare, "", None
        bucket, key = self._find_bucket_key(bare)
        return bucket, key + slashes, None
