"""`python -m idp.serving` is the server, which `idp serve` becomes once everything is checked."""

import sys

from idp.serving.server import serve
from idp.serving.start import Serving

if __name__ == "__main__":
    serve(Serving.of_words(sys.argv[1:]))
