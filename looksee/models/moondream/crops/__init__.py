"""From a picture to crops, and from crops' features to a picture's."""
