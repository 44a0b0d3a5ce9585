"""How fast the tracker is: what ``persontrack benchmark`` runs, without ROS."""
