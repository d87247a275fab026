"""The backend "pipe": os.pipe, pure Python, the fallback that runs everywhere."""
