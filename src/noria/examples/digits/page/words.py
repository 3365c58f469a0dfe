"""The words of the page, in the languages that it speaks."""

from __future__ import annotations

LANGUAGES = {"en": "English", "es": "Español"}
THEMES = ("auto", "light", "dark", "contrast")

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Draw a digit",
        "lead": "Draw a digit from 0 to 9. The model says what it sees, and how sure it is.",
        "skip": "Skip to the drawing",
        "language": "Language",
        "theme": "Theme",
        "auto": "As the system",
        "light": "Light",
        "dark": "Dark",
        "contrast": "High contrast",
        "drawing": "Drawing",
        "board": "Board to draw on",
        "keys": "With the keyboard: the arrow keys move the pen, Space puts it down and lifts it, "
        "Shift goes further, Enter asks, Delete begins again.",
        "pen_down": "Pen down",
        "pen_up": "Pen up",
        "ask": "What is it?",
        "undo": "Undo",
        "again": "Begin again",
        "cleared": "The board is empty",
        "answer": "Answer",
        "nothing": "Nothing has been drawn yet.",
        "says": "It is a {digit}",
        "sure": "{share} sure",
        "each": "How likely the model takes each digit to be",
        "digit": "Digit",
        "likely": "Probability",
        "got": "What the model got",
        "got_image": "The drawing as {side} by {side} pixels",
        "answered": "Answered by",
        "now": "Answers now",
        "version": "version {version}",
        "prediction": "Prediction",
        "right": "Was that right?",
        "yes": "Yes",
        "no": "No, it was:",
        "kept": "Kept: it was a {digit}. The monitor counts it from now on.",
        "asking": "Asking …",
        "failed": "No answer: {message}",
        "script": "This page needs a script to draw on it.",
        "noria": "The model in Noria",
        "endpoint": "Its endpoint",
    },
    "es": {
        "title": "Dibuje una cifra",
        "lead": "Dibuje una cifra del 0 al 9. El modelo dice qué ve y con cuánta seguridad.",
        "skip": "Ir al dibujo",
        "language": "Idioma",
        "theme": "Tema",
        "auto": "Como el sistema",
        "light": "Claro",
        "dark": "Oscuro",
        "contrast": "Alto contraste",
        "drawing": "Dibujo",
        "board": "Tablero para dibujar",
        "keys": "Con el teclado: las flechas mueven el lápiz, Espacio lo baja y lo levanta, "
        "con Mayúsculas avanza más, Intro pregunta y Supr empieza de nuevo.",
        "pen_down": "Lápiz abajo",
        "pen_up": "Lápiz arriba",
        "ask": "¿Qué es?",
        "undo": "Deshacer",
        "again": "Empezar de nuevo",
        "cleared": "El tablero está vacío",
        "answer": "Respuesta",
        "nothing": "Todavía no hay nada dibujado.",
        "says": "Es un {digit}",
        "sure": "{share} de seguridad",
        "each": "Probabilidad que el modelo da a cada cifra",
        "digit": "Cifra",
        "likely": "Probabilidad",
        "got": "Lo que recibió el modelo",
        "got_image": "El dibujo en {side} por {side} píxeles",
        "answered": "Respondió",
        "now": "Responde ahora",
        "version": "versión {version}",
        "prediction": "Predicción",
        "right": "¿Es correcto?",
        "yes": "Sí",
        "no": "No, era:",
        "kept": "Guardado: era un {digit}. El monitor lo cuenta desde ahora.",
        "asking": "Preguntando …",
        "failed": "Sin respuesta: {message}",
        "script": "Esta página necesita un script para dibujar en ella.",
        "noria": "El modelo en Noria",
        "endpoint": "Su endpoint",
    },
}
"""Words by language and name."""


def choose_language(asked: str | None, accepted: str | None) -> str:
    """Choose the language: the one that the address says, or else the first of the browser's that there is.

    Examples
    --------
    >>> choose_language(None, "fr, es-MX;q=0.8"), choose_language("en", "es"), choose_language("xx", None)
    ('es', 'en', 'en')
    """
    wanted = [asked or ""] + [part.strip()[:2].lower() for part in (accepted or "").split(",")]
    return next((language for language in wanted if language in LANGUAGES), "en")
