"""What the first Adit's packager did with a docset: one document after the other, temporary files, zipfile, one upload.

Its truncation bug is mended: the archive is closed before it is uploaded. Everything else is in its favour: no metadata is asked for,
and the upload is that of boto3. Prints one line of JSON: seconds from the first request to the end of the upload (the start of
Python is not in it), documents, bytes of the archive, and the peak of resident memory in kilobytes.

Environment: DOCSET_URL, API_KEY; ARCHIVE for a file, or S3_ENDPOINT, S3_BUCKET and S3_KEY with the AWS_* variables.
KEEP_ALIVE=1 fetches over one connection, which it did not do.
"""

import json
import os
import resource
import shutil
import tempfile
import time
import zipfile
from urllib.parse import urlsplit

import boto3
import requests
from botocore.config import Config


def fetch_members(client, docset_url, headers):
    response = client.get(docset_url, headers={**headers, "Accept": "application/json"})
    response.raise_for_status()
    return response.json()["members"]


def fetch_document(client, url, headers, folder):
    response = client.get(url, headers={**headers, "Accept": "text/plain"}, stream=True)
    response.raise_for_status()
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as document:
        for piece in response.iter_content(8192):
            document.write(piece)
    return document.name


def write_archive(archive, client, docset_url, headers):
    parts = urlsplit(docset_url)
    base = f"{parts.scheme}://{parts.netloc}{parts.path.split('/docsets/')[0]}"
    members = fetch_members(client, docset_url, headers)
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as package:
            for member in members:
                path = fetch_document(client, f"{base}{member['url']}/text", headers, folder)
                package.write(path, f"{member['ref']}.txt")
                os.remove(path)
    return len(members)


def store(archive):
    if "ARCHIVE" in os.environ:
        with open(os.environ["ARCHIVE"], "wb") as target:
            shutil.copyfileobj(archive, target, 1024 * 1024)
            os.fsync(target.fileno())
        return
    config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
    s3 = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT"], config=config)
    s3.put_object(Bucket=os.environ["S3_BUCKET"], Key=os.environ["S3_KEY"], Body=archive)


def main():
    client = requests.Session() if os.environ.get("KEEP_ALIVE") == "1" else requests
    headers = {"X-API-Key": os.environ.get("API_KEY", "")}
    started = time.monotonic()
    with tempfile.TemporaryFile() as archive:
        documents = write_archive(archive, client, os.environ["DOCSET_URL"], headers)
        size = archive.tell()
        archive.seek(0)
        store(archive)
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "documents": documents, "bytes": size, "peak_kilobytes": peak}))


if __name__ == "__main__":
    main()
