"""Person tracking in ROS 2 images with OpenVINO and Deep SORT."""

import sys

# Importing openvino tells Google Analytics of it, where openvino_telemetry is installed: a robot's
# node should tell nobody. OpenVINO and NNCF do without where it cannot be imported.
sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]
