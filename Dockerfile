# The robot instructions of README.md on an official image of ROS 2. This file was never built.
#
#     docker build --build-arg ROS_DISTRO=jazzy -t persontrack_ros .
#     docker run --net=host --ipc=host persontrack_ros
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base
ARG ROS_DISTRO
SHELL ["/bin/bash", "-c"]
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv
WORKDIR /ros2_ws
COPY . src/persontrack_ros
RUN rosdep update --rosdistro "$ROS_DISTRO" && . "/opt/ros/$ROS_DISTRO/setup.bash" && \
    rosdep install --from-paths src --ignore-src -y
RUN python3 -m venv --system-site-packages .venv && . .venv/bin/activate && \
    pip install 'av>=17' mcap openvino rosbags threadpoolctl
RUN . "/opt/ros/$ROS_DISTRO/setup.bash" && . .venv/bin/activate && \
    colcon build --packages-select persontrack_ros && . install/setup.bash && \
    ros2 run persontrack_ros persontrack models download
RUN printf '%s\n' '. .venv/bin/activate' '. install/setup.bash' 'exec "$@"' >entrypoint.bash
# The image of ROS sources it before.
ENTRYPOINT ["/ros_entrypoint.sh", "bash", "/ros2_ws/entrypoint.bash"]
CMD ["ros2", "launch", "persontrack_ros", "persontrack.launch.py", "image:=/camera/image_raw"]
