"""The table of models against the facts it was made from."""

from __future__ import annotations

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


def test_the_entries_are_complete():
    for entry in catalogue().values():
        assert entry.kind in ('detector', 'reid')
        assert 'Apache-2.0' in entry.licence
        assert entry.about
        assert ('score_threshold' in entry.profile) == (entry.kind == 'detector')
        for releases in entry.releases.values():
            names = [release.name for release in releases]
            assert names == sorted(names, reverse=True)
            for release in releases:
                assert all(len(facts.sha384) == 96 for facts in release.files.values())
                assert not list(release.files)[-1].endswith('.bin')
