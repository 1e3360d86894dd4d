"""The report: pages, sheets, the catalogue of the documents, and the ledger of their claims.

Nothing here measures; a number on a page is one of a table.
"""
