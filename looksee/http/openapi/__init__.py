"""The OpenAPI document: schemas, examples."""
