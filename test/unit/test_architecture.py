"""The order of imports."""

import ast
import graphlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / 'persontrack_ros'
MODULES = {
    layer: sorted(PACKAGE.joinpath(layer).rglob('*.py'))
    for layer in ('core', 'bags', 'benchmark', 'cli', 'ros')
}

# Each may import what stands before it; docs/architecture.md has the line of `core`.
ORDER = {
    'core': 'base media config tracking inference tracks3d drawing pipeline report evaluation',
    'ros': 'compat discovery images launch_arguments memory shared_memory answers launching '
    'parameters process tracker nodes tools __main__',
}


def imports(path):
    """Return the names of all modules that a file imports, also within functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, 'imports name the whole package'
            names.add(node.module)
    return names


def is_ros(name):
    top = name.split('.')[0]
    return top in ('rclpy', 'cv_bridge', 'launch') or top.endswith(('_msgs', '_interfaces'))


@pytest.mark.parametrize('layer', ['core', 'bags', 'benchmark', 'cli'])
def test_no_ros_below_the_nodes(layer):
    """Core and bags know neither ROS nor the layers over them; the command line knows no ROS."""
    above = ['persontrack_ros.ros']
    if layer != 'cli':
        above.append('persontrack_ros.cli')
    if layer == 'core':
        above.append('persontrack_ros.bags')
    wrong = [
        f'{path.relative_to(PACKAGE)} imports {name}'
        for path in MODULES[layer]
        for name in imports(path)
        if is_ros(name) or name.startswith(tuple(above))
    ]
    assert wrong == []
    assert len(MODULES[layer]) > 2
    assert any(is_ros(name) for path in MODULES['ros'] for name in imports(path))


@pytest.mark.parametrize('layer', ORDER)
def test_no_two_folders_need_each_other(layer):
    """Each can be read, and moved, without what stands after it."""
    order = ORDER[layer].split()
    wrong = []
    for path in MODULES[layer]:
        own = path.relative_to(PACKAGE / layer).parts[0].removesuffix('.py')
        if own == '__init__':
            continue
        for name in imports(path):
            if name.startswith(f'persontrack_ros.{layer}.'):
                other = name.split('.')[2]
                if other != own and order.index(other) > order.index(own):
                    wrong.append(f'{path.relative_to(PACKAGE)} imports {name}')
    assert wrong == []


def test_no_two_files_need_each_other():
    """Each can be read, and tried, without those that use it."""
    paths = [path for modules in MODULES.values() for path in modules]
    names = {
        '.'.join(('persontrack_ros', *path.relative_to(PACKAGE).with_suffix('').parts)): path
        for path in paths
    }
    graph = {name: imports(path) & names.keys() for name, path in names.items()}
    assert sum(map(len, graph.values())) > 300
    graphlib.TopologicalSorter(graph).prepare()


def test_the_order_of_the_core_stands_in_its_page():
    page = PACKAGE.with_name('docs') / 'architecture.md'
    assert ORDER['core'] in page.read_text().replace('`', '').replace('.py', '')
