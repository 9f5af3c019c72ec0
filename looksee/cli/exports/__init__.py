"""Files for other programs, made of the answers about a folder: CSV, COCO, YOLO, marked pictures, a gallery."""
