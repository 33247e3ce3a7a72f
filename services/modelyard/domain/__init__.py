"""The shared words of Modelyard: specs, names, errors and the lifecycle plan. No I/O, no Ray, no Kubernetes, no clock."""
