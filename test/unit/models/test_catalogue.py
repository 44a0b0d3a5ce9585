"""The table of models against the facts it was made from."""

import json

from persontrack_ros.core.inference.catalogue import catalogue


def test_every_published_file_is_in_the_catalogue(data):
    manifest = json.loads(data('models/open_model_zoo_manifest.json').read_text())
    published = {
        (row['model'], row['release'], row['url'], row['size'], row['sha384'])
        for row in manifest['files']
    }
    known = {
        (entry.name, release.name, release.url + name, facts.size, facts.sha384)
        for entry in catalogue().values()
        for releases in entry.releases.values()
        for release in releases
        for name, facts in release.files.items()
        if release.url
    }
    assert known == published
