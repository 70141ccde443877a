#!/usr/bin/env python3
"""From a query to a verified archive with nothing but requests:

    ADIT_URL=http://localhost:3000 ADIT_KEY=adit_… python3 study.py railroads.zip
"""
import hashlib
import os
import sys
import time
import zipfile

import requests

URL = os.environ.get("ADIT_URL", "http://localhost:3000").rstrip("/")
QUERY = {"bool": {"must": [{"match": {"text": "railroad"}}], "filter": [{"range": {"year": {"lt": 1900}}}]}}

session = requests.Session()
session.headers["Authorization"] = f"Bearer {os.environ['ADIT_KEY']}"


def call(method, path, **options):
    """One request. Waits where the server is busy; what it refuses ends the program in the server's own words."""
    while True:
        response = session.request(method, URL + path, timeout=60, allow_redirects=False, **options)
        if response.status_code in (429, 503):
            time.sleep(int(response.headers.get("Retry-After", 5)))
        elif response.status_code >= 400:
            sys.exit(response.json()["detail"])
        else:
            return response


def make_dump(docset, formats):
    """Asks for the dump and polls until it is over, as often as the server wants to be asked."""
    response = call("POST", f"/api/docsets/{docset}/dump?fmt={formats}")
    path = response.headers["Location"]
    while not response.json()["done"]:
        time.sleep(int(response.headers.get("Retry-After", 1)))
        response = call("GET", path)
        print(response.json()["progress"], "%", file=sys.stderr)
    dump = response.json()
    if dump["status"] != "successful":
        sys.exit(dump["message"])
    return dump


def download(archive, path):
    """Resumes where the line breaks; If-Range sees to it that two archives are never put together."""
    etag = None
    with open(path, "wb") as file:
        while file.tell() < archive["size"]:
            # A link is good for 15 minutes, needs no key, and may lead to another host: the key is not sent there.
            link = call("GET", archive["href"]).headers["Location"]
            headers = {"Range": f"bytes={file.tell()}-", "If-Range": etag} if etag else {}
            try:
                with requests.get(link, headers=headers, stream=True, timeout=60) as response:
                    response.raise_for_status()
                    if response.status_code == 200:
                        file.seek(0)
                        file.truncate()
                        etag = response.headers["ETag"]
                    for chunk in response.iter_content(1 << 16):
                        file.write(chunk)
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                time.sleep(1)
    with open(path, "rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != archive["sha256"]:
            sys.exit(f"{path} is not the archive that the server told of.")


def main(path):
    found = call("POST", "/api/collections/sotu/search", json={"query": QUERY, "facets": {"by": {"terms": {"field": "party"}}}})
    print(found.json()["hits"], "documents:", {bucket["key"]: bucket["count"] for bucket in found.json()["facets"]["by"]["buckets"]})
    docset = call("POST", "/api/docsets", json={"name": "Railroads", "collection": "sotu", "query": QUERY}).json()
    dump = make_dump(docset["id"], "meta,txt")
    print(dump["message"])
    download(dump["archive"], path)
    with zipfile.ZipFile(path) as archive:
        texts = [name for name in archive.namelist() if "/data/" in name and name.endswith(".txt")]
        words = sum(len(archive.read(name).split()) for name in texts)
    print(f"{path}: {len(texts)} texts of {words} words.")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "railroads.zip")
