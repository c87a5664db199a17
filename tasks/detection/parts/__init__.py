"""The parts of a Mask R-CNN (He et al. 2017), over mmdet's networks."""
