"""Uploads FILE as boto3 does by default: parts of 8 MB in ten threads. Prints the seconds, without the start of Python."""

import os
import time

import boto3
from botocore.config import Config

config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
s3 = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT"], config=config)
started = time.monotonic()
s3.upload_file(os.environ["FILE"], os.environ["S3_BUCKET"], "upload.zip")
print(time.monotonic() - started)
